import { setTimeout as sleep } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import type { InferRequestType, InferResponseType } from 'hono/client';
import { type Client, taken } from './client.ts';
import { momentOf } from './moment.ts';

type Route = Client['v1']['audit']['$get'];
export type AuditQuery = InferRequestType<Route>['query'];
export type AuditEntry = InferResponseType<Route, 200>['items'][number];

/** What `hfi audit list` and `hfi audit export` can be asked for. */
export const auditFilters = {
  since: Flags.string({ helpValue: 'TIME', description: 'Not before this time: 24h or 7d ago, 2026-08-01 or 2026-08-01T12:00:00Z.' }),
  until: Flags.string({ helpValue: 'TIME', description: 'Before this time.' }),
  policy: Flags.string({ helpValue: 'NAME', description: 'Only what was done to this policy.' }),
  actor: Flags.string({ helpValue: 'NAME', description: 'Only what this one did.' }),
  action: Flags.string({ helpValue: 'ACTION', description: 'Only this, such as create or delete.' }),
};

export interface AuditFilters {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly policy?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
}

/** The flags as the API takes them. @throws Failure */
export function auditQuery({ since, until, policy, actor, action }: AuditFilters): AuditQuery {
  const now = Date.now();
  return {
    ...(since === undefined ? {} : { since: momentOf('since', since, now) }),
    ...(until === undefined ? {} : { until: momentOf('until', until, now) }),
    ...(policy === undefined ? {} : { policy }),
    ...(actor === undefined ? {} : { actor }),
    // The control plane says which there are.
    ...(action === undefined ? {} : { action: action as never }),
  };
}

/** Of an end why, of a result what: `expired: the time of its last rule was over`, `INCONCLUSIVE, it hit no request`. */
export function howInWords({ end, result }: AuditEntry): string {
  if (end !== undefined) return `${end.reason}: ${end.why}`;
  if (result === undefined) return '';
  if (result.verdict === 'inconclusive') return 'INCONCLUSIVE, it hit no request';
  const hit = result.injected === 0 ? 'in shadow, it would have hit some' : `it hit ${result.injected}`;
  return `${hit} of ${result.matched} requests that it matched`;
}

/** All entries, page after page. */
export async function* allEntries(client: Client, query: AuditQuery): AsyncGenerator<AuditEntry> {
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: InferResponseType<Route, 200> = await taken(await client.v1.audit.$get({ query: { ...query, limit: '200', cursor } }));
    yield* page.items;
    cursor = page.nextCursor;
  }
}

export type SealPage = InferResponseType<Client['v1']['audit']['seals']['$get'], 200>;

/** All seals after `after`, page after page; the last page says how things stand. */
export async function* sealPages(client: Client, after: number): AsyncGenerator<SealPage> {
  let cursor: number | null = after;
  while (cursor !== null) {
    const page: SealPage = await taken(await client.v1.audit.seals.$get({ query: { limit: '100', cursor: String(cursor) } }));
    yield page;
    cursor = page.nextCursor;
  }
}

/** How long the newest entries may take to be sealed, and between looks, in milliseconds. */
const SEALED_WITHIN_MS = 5000;
const LOOK_AGAIN_MS = 100;

/** The whole chain with everything sealed that was written by now, or as much as is sealed in a few seconds. */
export async function chainByNow(client: Client): Promise<Pick<SealPage, 'items' | 'anchor'>> {
  const items: SealPage['items'] = [];
  let anchor: SealPage['anchor'] = null;
  let awaited: ReadonlySet<string> | undefined;
  for (const deadline = performance.now() + SEALED_WITHIN_MS; ; await sleep(LOOK_AGAIN_MS)) {
    let waiting: readonly string[] = [];
    for await (const page of sealPages(client, items.at(-1)?.sequence ?? 0)) {
      if (items.length === 0) anchor = page.anchor;
      items.push(...page.items);
      waiting = page.waiting;
    }
    awaited ??= new Set(waiting);
    if (!waiting.some((id) => awaited?.has(id)) || performance.now() > deadline) return { items, anchor };
  }
}
