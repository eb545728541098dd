import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { unscopedReaders } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';

const signature = z
  .object({
    key: z.string().describe('Which key: 16 hexadecimal digits of a hash of it.'),
    mac: z.string().describe('HMAC-SHA-256 with the key.'),
  })
  .openapi('AuditSignature');

const head = z.object({
  sequence: z.int(),
  hash: z.string(),
  entries: z.int().describe('Entries that were sealed in all.'),
  begun: z.boolean().describe('False while there are only entries from before the chain.'),
});

const seal = z
  .object({
    sequence: z.int().describe('From 1, without a gap.'),
    time: z.iso.datetime(),
    replica: z.string(),
    previous: z.string().describe('The hash of the seal before.'),
    adopted: z.boolean().describe('True for entries from before the chain: they are sealed as they were found.'),
    entries: z
      .array(
        z.object({
          id: z.string(),
          resourceVersion: z.string(),
          hash: z.string().describe('SHA-256 of the entry without `id` and `resourceVersion`, as JSON with all keys in order.'),
          signature: signature.optional(),
        }),
      )
      .readonly(),
    hash: z.string().describe('SHA-256 of all of the above, as JSON with all keys in order.'),
    signature: signature.optional(),
  })
  .openapi('AuditSeal');

const anchor = z
  .object({
    sequence: z.int().describe('The newest seal that was removed.'),
    hash: z.string(),
    entries: z.int().describe('How many entries were removed in all.'),
    until: z.iso.datetime().describe('When the newest removed seal was made.'),
    signature: signature.optional(),
  })
  .openapi('AuditAnchor');

/** The chain over the audit. */
export function auditSealRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/audit/seals',
    operationId: 'listAuditSeals',
    summary: 'Lists the seals over the audit, oldest first: `hfi audit verify` compares the entries with them.',
    tags: ['audit'],
    security: [{ bearer: [] }],
    middleware: [unscopedReaders(parts.tokens)] as const,
    request: {
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(100).default(20).describe('How many at most.'),
        cursor: z.coerce.number().int().min(0).default(0).describe('Those after this sequence; `nextCursor` of the page before.'),
      }),
    },
    responses: {
      200: {
        description: 'A page, and how things stand at the same moment.',
        content: {
          'application/json': {
            schema: z
              .object({
                items: z.array(seal),
                nextCursor: z.int().nullable(),
                head: head.describe('The newest seal; sequence 0 when there is none.'),
                anchor: anchor.nullable().describe('Up to where the audit was removed because it was old.'),
                waiting: z.array(z.string()).describe('Entries that wait for their seal, in the order in which they were written.'),
              })
              .openapi('AuditSealPage'),
          },
        },
      },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const { items, anchor, waiting, ...page } = await parts.audit.seals(limit, cursor);
    return c.json({ ...page, items: [...items], anchor: anchor ?? null, waiting: [...waiting] }, 200);
  });
}
