import { serve } from '@hono/node-server';
import { Hono } from 'hono';

/**
 * The demo's frontend: asks the backend through its own proxy, as a service in a mesh does, with a time limit and one retry, and
 * says what came of it. Environment: `PORT`, `HOST`, `BACKEND_URL` (the proxy's outbound address).
 */
const LIMIT_MS = 3000;
const TRIES = 2;
const backendUrl = process.env.BACKEND_URL ?? '';

interface Outcome {
  /** The backend's status, or why there is none. */
  status: number | 'timeout' | 'unreachable';
  tries: number;
  milliseconds: number;
}

async function askBackend(path: string): Promise<Outcome> {
  const start = performance.now();
  const outcome: Outcome = { status: 'unreachable', tries: 0, milliseconds: 0 };
  while (outcome.tries < TRIES && (typeof outcome.status === 'string' || outcome.status >= 500)) {
    outcome.tries++;
    outcome.status = await once(path);
  }
  outcome.milliseconds = Math.round(performance.now() - start);
  return outcome;
}

async function once(path: string): Promise<Outcome['status']> {
  try {
    const answer = await fetch(`${backendUrl}${path}`, { signal: AbortSignal.timeout(LIMIT_MS) });
    await answer.arrayBuffer();
    return answer.status;
  } catch (error) {
    return error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'unreachable';
  }
}

const app = new Hono()
  .get('/healthz', (context) => context.text('ok'))
  .get('/livez', (context) => context.text('ok'))
  .all('*', async (context) => {
    const backend = await askBackend(context.req.path);
    const fine = typeof backend.status === 'number' && backend.status < 500;
    return context.json({ service: 'frontend', path: context.req.path, backend }, fine ? 200 : 502);
  });

serve({
  fetch: app.fetch,
  hostname: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT),
  // The proxy before it closes connections: one that is closed here just as a request comes would be a 503 that no policy asked for.
  serverOptions: { keepAliveTimeout: 0 },
});
