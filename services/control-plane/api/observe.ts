import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';

const POLLS = new Set(['/v1/ruleset', '/v1/rollout']);

/** What proxies do all the time is nothing to tell of. */
const ROUTINE = new Set(['/v1/reports']);

/** By this header of an answer, its version, a client knows that it is the control plane that answers. */
export const CONTROL_PLANE_HEADER = 'hfi-control-plane';

/** Counts and logs each answer. Headers and queries are left out of the log: they may hold a token. */
export function observe({ runtime, metrics, log, version, serving }: Parts): MiddlewareHandler<Env> {
  return async (c, next) => {
    const start = runtime.clock.elapsed();
    await next();
    c.res.headers.set(CONTROL_PLANE_HEADER, version);
    // A replica that ends waits for its connections, and a client keeps one open for its next request.
    if (!serving()) c.res.headers.set('connection', 'close');
    const ms = runtime.clock.elapsed() - start;
    const route = routePath(c, -1);
    const { method } = c.req;
    const { status } = c.res;
    metrics.requests.inc({ method, route, status });
    if (!POLLS.has(route)) metrics.duration.observe({ method, route }, ms / 1000);
    const level = status >= 500 ? 'warn' : method === 'GET' || ROUTINE.has(route) ? 'debug' : 'info';
    log[level]({ method, path: c.req.path, status, ms: Math.round(ms * 10) / 10, actor: c.get('actor')?.name }, 'answered');
  };
}
