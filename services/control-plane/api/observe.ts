import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Caller } from '../access/caller.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';

const POLLS = new Set(['/v1/ruleset', '/v1/rollout']);

/** What proxies do all the time is nothing to tell of. */
const ROUTINE = new Set(['/v1/reports']);

/** By this header of an answer, its version, a client knows that it is the control plane that answers. */
export const CONTROL_PLANE_HEADER = 'hfi-control-plane';

/** What every answer carries beside what it says. */
export function ownHeaders({ version, serving }: Parts): Record<string, string> {
  // A replica that ends waits for its connections, and a client keeps one open for its next request.
  return { [CONTROL_PLANE_HEADER]: version, ...(!serving() && { connection: 'close' }) };
}

interface Answered {
  readonly method: string;
  readonly path: string;
  readonly route: string;
  readonly status: number;
  /** When it was asked, by `clock.elapsed()`. */
  readonly start: number;
  readonly actor: Caller | undefined;
}

/** Counts and logs an answer. Headers and queries are left out of the log: they may hold a token. */
export function noteAnswer({ runtime, metrics, log }: Parts, { method, path, route, status, start, actor }: Answered): void {
  metrics.requests.inc({ method, route, status });
  const level = status >= 500 ? 'warn' : method === 'GET' || ROUTINE.has(route) ? 'debug' : 'info';
  const isLogged = log.isLevelEnabled(level);
  if (POLLS.has(route) && !isLogged) return;
  const ms = runtime.clock.elapsed() - start;
  if (!POLLS.has(route)) metrics.duration.observe({ method, route }, ms / 1000);
  if (isLogged) log[level]({ method, path, status, ms: Math.round(ms * 10) / 10, actor: actor?.name }, 'answered');
}

/** Notes each answer that Hono gives. */
export function observe(parts: Parts): MiddlewareHandler<Env> {
  return async (c, next) => {
    const start = parts.runtime.clock.elapsed();
    await next();
    for (const [name, value] of Object.entries(ownHeaders(parts))) c.res.headers.set(name, value);
    const { method, path } = c.req;
    noteAnswer(parts, { method, path, route: routePath(c, -1), status: c.res.status, start, actor: c.get('actor') });
  };
}
