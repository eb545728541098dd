import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { seesPolicy } from '../access/scope.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { pastResource, policyResource } from './policy-resource.ts';
import { refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';
import { seenPage } from './seen-page.ts';

/** What policies did that are over: each run with its last spec, its end and why. */
export function historyRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/history',
    operationId: 'listHistory',
    summary: 'Lists the runs of policies that ended, the latest end first. A policy that is applied again is another run.',
    tags: ['policies'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: {
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(100).default(20).describe('How many at most.'),
        cursor: z
          .string()
          .max(512)
          .regex(/^(\d{13}-[-a-z0-9]+)?$/, 'is no nextCursor')
          .default('')
          .describe('`nextCursor` of the page before.'),
        policy: z.string().max(253).optional().describe('Only the runs of this policy.'),
      }),
    },
    responses: {
      200: {
        description: 'A page. With a filter it can be short and not be the last: `nextCursor` says.',
        content: {
          'application/json': {
            schema: z.object({ items: z.array(policyResource), nextCursor: z.string().nullable() }).openapi('HistoryPage'),
          },
        },
      },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { limit, cursor, policy } = c.req.valid('query');
    const caller = c.get('actor');
    const { items, nextCursor } =
      caller.namespaces === undefined
        ? await parts.history.list({ limit, cursor, policy })
        : await seenPage(
            {
              read: (most, after) => parts.history.list({ limit: most, cursor: after, policy }),
              show: (run) => (seesPolicy(caller, run.policy) ? run : undefined),
              key: (run) => run.id,
            },
            limit,
            cursor,
          );
    const now = parts.runtime.clock.now();
    return c.json({ items: items.map((run) => pastResource(run, now, parts)), nextCursor }, 200);
  });
}
