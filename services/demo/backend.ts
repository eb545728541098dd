import { serve } from '@hono/node-server';
import { Hono } from 'hono';

/** The demo's backend: answers at once. Environment: `PORT`, `HOST`. */
const app = new Hono()
  .get('/healthz', (context) => context.text('ok'))
  .get('/livez', (context) => context.text('ok'))
  .all('*', (context) => context.json({ service: 'backend', path: context.req.path }));

serve({
  fetch: app.fetch,
  hostname: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT),
  // The proxy before it closes connections: one that is closed here just as a request comes would be a 503 that no policy asked for.
  serverOptions: { keepAliveTimeout: 0 },
});
