import type { InferResponseType } from 'hono/client';
import { type Client, taken } from './client.ts';

/** A policy as the API shows it. */
export type PolicyResource = InferResponseType<Client['v1']['policies'][':name']['$get'], 200>;

interface PageOf {
  readonly items: readonly PolicyResource[];
  readonly nextCursor: string | null;
}

/** Asks for page after page until there are `most`, or no more. */
export async function allPolicies(
  page: (query: { limit: string; cursor?: string }) => Promise<PageOf>,
  most = Number.POSITIVE_INFINITY,
): Promise<PolicyResource[]> {
  const found: PolicyResource[] = [];
  let cursor: string | null = null;
  do {
    const limit = String(Math.min(100, most - found.length));
    const answer: PageOf = await page(cursor === null ? { limit } : { limit, cursor });
    found.push(...answer.items);
    cursor = answer.nextCursor;
  } while (cursor !== null && found.length < most);
  return found;
}

/** The last run in the history of a policy; undefined when there is none. */
export async function lastRun(client: Client, name: string): Promise<PolicyResource | undefined> {
  const { items } = await taken(await client.v1.history.$get({ query: { policy: name, limit: '1' } }));
  return items[0];
}
