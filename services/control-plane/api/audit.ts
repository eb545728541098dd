import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { policySpec } from '../../policy/schema.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';

const auditEntry = z
  .object({
    id: z.string(),
    time: z.iso.datetime(),
    actor: z.object({ name: z.string(), role: z.string() }),
    address: z.string().describe('Where the request came from.'),
    action: z.enum(['create', 'replace', 'delete', 'end', 'halt', 'resume']),
    policy: z.string().describe('Empty for a halt and a resume.'),
    halt: z
      .object({ namespace: z.string().nullable(), reason: z.string() })
      .optional()
      .describe('What was halted or resumed, null = everything, and the reason of the halt.'),
    resourceVersion: z.string(),
    before: policySpec.nullable(),
    after: policySpec.nullable(),
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
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const page = await parts.store.audit(limit, cursor);
    const items = page.items.map(({ revision, time, ...entry }) => ({
      ...entry,
      time: new Date(time).toISOString(),
      resourceVersion: String(revision),
    }));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
