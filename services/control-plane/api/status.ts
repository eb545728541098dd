import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { seesHalt, seesPolicy } from '../access/scope.ts';
import { readers } from './auth.ts';
import { countPolicies, countProxies } from './counts.ts';
import type { Env } from './env.ts';
import { asResource, haltResource } from './halt-resource.ts';
import type { Parts } from './parts.ts';
import { refusals } from './problem.ts';
import { allProxies, scopeParam } from './proxies.ts';
import { refuseBadQuery } from './query.ts';

const status = z
  .object({
    version: z.string(),
    replica: z.string(),
    etcd: z.object({ reachable: z.boolean(), revision: z.int().describe('The newest revision that this replica has seen completely.') }),
    proxies: z.object({ connected: z.int(), current: z.int(), refusing: z.int(), unreadable: z.int() }),
    policies: z.object({ active: z.int(), ended: z.int() }),
    halts: z.array(haltResource).describe('All that is halted.'),
    incomplete: z.array(z.string()).describe('Replicas that could not be asked; their proxies are not counted.'),
  })
  .openapi('Status');

/** How everything is, in numbers. */
export function statusRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/status',
    operationId: 'getStatus',
    summary: 'How everything is, in numbers.',
    tags: ['status'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: { query: z.strictObject({ scope: scopeParam }) },
    responses: {
      200: { description: 'The numbers.', content: { 'application/json': { schema: status } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const local = c.req.valid('query').scope === 'local';
    const [reachable, { items, incomplete }] = await Promise.all([parts.store.ping(), allProxies(parts, c, local)]);
    return c.json(
      {
        version: parts.version,
        replica: parts.replica,
        etcd: { reachable, revision: parts.copy.revision },
        proxies: countProxies(items),
        policies: countPolicies(
          [...parts.copy.policies.values()].filter(({ policy }) => seesPolicy(c.get('actor'), policy)),
          parts.runtime.clock.now(),
        ),
        halts: parts.halts
          .inForce()
          .filter(({ halt }) => seesHalt(c.get('actor'), halt))
          .map(asResource),
        incomplete,
      },
      200,
    );
  });
}
