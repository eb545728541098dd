import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { END_REASONS, type EndReason } from '../../policy/lifecycle.ts';
import { policySpec } from '../../policy/schema.ts';
import { ROLES } from '../access/caller.ts';
import { seenOfEntry } from '../access/scope.ts';
import { shown } from '../store/audit-writer.ts';
import { AUDIT_ACTIONS, type AuditEntry } from '../store/store.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';

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
    action: z.enum(AUDIT_ACTIONS),
    policy: z.string().describe('The policy that was changed; empty when it was a halt or a token.'),
    halt: z
      .object({ namespace: z.string().nullable(), reason: z.string() })
      .optional()
      .describe('What was halted or resumed, null = everything, and the reason of the halt.'),
    token: z.string().optional().describe('The token that was created or revoked, by its name.'),
    resourceVersion: z.string(),
    end: z
      .object({ reason: z.enum(Object.keys(END_REASONS) as [EndReason, ...EndReason[]]), why: z.string() })
      .optional()
      .describe('How it ended, of the action `end`.'),
    result: z
      .object({ appliedAt: z.iso.datetime(), verdict: z.enum(['effective', 'inconclusive']), matched: z.int(), injected: z.int() })
      .optional()
      .describe('What the run did in all that ended, of the action `result`: `inconclusive` when it hit nothing.'),
    before: state.describe('What was there; null for nothing, and for what is outside of the namespaces of who asks.'),
    after: state,
  })
  .openapi('AuditEntry');

const moment = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const CURSOR = /^(\d{13}-[-a-z0-9.]+|\d{1,12}:\d{1,6})?$/;

const auditQuery = z
  .strictObject({
    limit: z.coerce.number().int().min(1).max(200).default(20).describe('How many at most.'),
    cursor: z.string().max(512).regex(CURSOR, 'is no nextCursor').default('').describe('`nextCursor` of the page before.'),
    order: z
      .enum(['newest', 'oldest'])
      .default('newest')
      .describe('`newest` first goes by the times of the entries, `oldest` first by the order in which they were written.'),
    since: moment.optional().describe('Not before this time.'),
    until: moment.optional().describe('Before this time.'),
    policy: z.string().max(253).optional().describe('Only what was done to this policy.'),
    actor: z.string().max(253).optional().describe('Only what this one did.'),
    action: z.enum(AUDIT_ACTIONS).optional().describe('Only this.'),
  })
  .refine(({ order, cursor }) => cursor === '' || cursor.includes(':') === (order === 'oldest'), {
    path: ['cursor'],
    message: 'is of another order',
  });

/** Who changed what. */
export function auditRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/audit',
    operationId: 'listAudit',
    summary: 'Lists who changed what, newest first or oldest first.',
    tags: ['audit'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: { query: auditQuery },
    responses: {
      200: {
        description: 'A page. With a filter it can be short and not be the last: `nextCursor` says.',
        content: {
          'application/json': { schema: z.object({ items: z.array(auditEntry), nextCursor: z.string().nullable() }).openapi('AuditPage') },
        },
      },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const caller = c.get('actor');
    const seen = caller.namespaces === undefined ? undefined : (entry: AuditEntry) => seenOfEntry(caller, entry) !== undefined;
    const page = await parts.audit.list({ ...c.req.valid('query'), seen });
    const items = page.items
      .flatMap((entry) => seenOfEntry(caller, entry) ?? [])
      .map(({ revision, ...entry }) => ({ ...shown(entry), resourceVersion: String(revision) }));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
