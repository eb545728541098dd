import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { policySpec } from '../../policy/schema.ts';
import { ROLES } from '../access/caller.ts';
import { seenOfEntry } from '../access/scope.ts';
import type { AuditEntry } from '../store/store.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';
import { seenPage } from './seen-page.ts';

/** A scope can make entries rare; nobody may have all of a long history read for one request. */
const MOST_LOOKED_AT = 5000;

const tokenState = z
  .object({
    role: z.enum(ROLES),
    namespaces: z.array(z.string()).readonly().optional(),
    expiresAt: z.number().describe('Milliseconds since the epoch.'),
  })
  .openapi('AuditToken');
const state = z.union([policySpec, tokenState]).nullable();

const auditEntry = z
  .object({
    id: z.string(),
    time: z.iso.datetime(),
    actor: z.object({ name: z.string(), role: z.string() }),
    address: z.string().describe('Where the request came from.'),
    action: z.enum(['create', 'replace', 'delete', 'end', 'create-token', 'revoke-token']),
    policy: z.string().describe('The policy that was changed; empty when it was a token.'),
    token: z.string().optional().describe('The token that was created or revoked, by its name.'),
    resourceVersion: z.string(),
    before: state.describe('What was there; null for nothing, and for what is outside of the namespaces of who asks.'),
    after: state,
  })
  .openapi('AuditEntry');

/** Who changed what. */
export function auditRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/audit',
    operationId: 'listAudit',
    summary: 'Lists who changed what, newest first.',
    tags: ['audit'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: {
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(200).default(20).describe('How many at most.'),
        cursor: z.string().max(512).default('').describe('`nextCursor` of the page before.'),
      }),
    },
    responses: {
      200: {
        description: 'A page.',
        content: {
          'application/json': { schema: z.object({ items: z.array(auditEntry), nextCursor: z.string().nullable() }).openapi('AuditPage') },
        },
      },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const caller = c.get('actor');
    const source = {
      read: (most: number, after: string) => parts.store.audit(most, after),
      show: (entry: AuditEntry) => seenOfEntry(caller, entry),
      key: ({ id }: AuditEntry) => id,
      most: MOST_LOOKED_AT,
    };
    const page = caller.namespaces === undefined ? await parts.store.audit(limit, cursor) : await seenPage(source, limit, cursor);
    const items = page.items.map(({ revision, time, ...entry }) => ({
      ...entry,
      time: new Date(time).toISOString(),
      resourceVersion: String(revision),
    }));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
