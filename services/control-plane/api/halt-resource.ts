import { z } from '@hono/zod-openapi';
import type { HaltInForce } from '../fleet/halts.ts';
import type { Halt } from '../store/halts.ts';

export const haltResource = z
  .object({
    namespace: z.string().nullable().describe('The namespace whose proxies are halted; null = everything.'),
    by: z.object({ name: z.string(), role: z.string() }),
    address: z.string().describe('Where the request came from.'),
    since: z.iso.datetime(),
    reason: z.string().describe('Why, in the words of who halted; may be empty.'),
    kept: z.boolean().describe('False while etcd has not taken it yet: replicas that do not know of it would not keep to it.'),
  })
  .openapi('Halt');

export type HaltResource = z.output<typeof haltResource>;

/** A halt as the API shows it. */
export function asResource({ halt, kept }: HaltInForce): HaltResource {
  const { namespace, by, address, time, reason } = halt;
  return { namespace, by: { name: by.name, role: by.role }, address, since: new Date(time).toISOString(), reason, kept };
}

/** Who halted what, since when and why, as a sentence's beginning. */
export function inWords({ namespace, by, time, reason }: Halt): string {
  const what = namespace === null ? 'Everything' : `The namespace ${JSON.stringify(namespace)}`;
  const why = reason === '' ? '' : ` (${JSON.stringify(reason)})`;
  return `${what} is halted by ${by.name} since ${new Date(time).toISOString()}${why}`;
}
