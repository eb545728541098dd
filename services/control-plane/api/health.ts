import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';

const ok = z.object({ status: z.literal('ok') }).openapi('Ok');

/** What Kubernetes and Prometheus ask. Nothing here is secret, and nothing needs a token. */
export function healthRoutes(parts: Parts) {
  const healthz = createRoute({
    method: 'get',
    path: '/healthz',
    operationId: 'getHealth',
    summary: 'Whether the process runs.',
    tags: ['status'],
    responses: { 200: { description: 'It does.', content: { 'application/json': { schema: ok } } } },
  });

  const readyz = createRoute({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    summary: 'Whether requests should be sent here: etcd answers and the copy of the policies is current.',
    tags: ['status'],
    responses: {
      200: { description: 'Ready.', content: { 'application/json': { schema: ok } } },
      ...refusals('store-unavailable'),
    },
  });

  const metrics = createRoute({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    summary: 'Prometheus metrics of this replica.',
    tags: ['status'],
    responses: { 200: { description: 'Prometheus text.', content: { 'text/plain': { schema: z.string() } } } },
  });

  return new OpenAPIHono<Env>()
    .openapi(healthz, (c) => c.json({ status: 'ok' as const }, 200))
    .openapi(readyz, async (c) => {
      const notReady = (detail: string): Problem => new Problem('store-unavailable', detail, { retryAfter: 1 });
      if (!parts.serving()) throw notReady('This replica is ending.');
      if (!parts.copy.fresh()) throw notReady('This replica has no current copy of the policies.');
      if (!(await parts.store.ping())) throw notReady('etcd does not answer.');
      return c.json({ status: 'ok' as const }, 200);
    })
    .openapi(metrics, async (c) => {
      c.header('content-type', parts.metrics.registry.contentType);
      return c.body(await parts.metrics.registry.metrics(), 200) as never;
    });
}
