import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { compileRuleset } from '../../../services/control-plane/ruleset/compile.ts';

/**
 * The floor: what Hono on Node needs to hold polls and wake them, and nothing else. `POST /wake?count=N` gives so many of the held polls
 * another version; `GET /held?count=N` is answered as soon as so many are held.
 */
const bytes = compileRuleset([], 0) as Uint8Array<ArrayBuffer>;
const held: (() => void)[] = [];
let version = 0;
let full: { readonly count: number; readonly tell: () => void } | undefined;

const app = new Hono();
app.get('/v1/ruleset', async (c) => {
  const first = c.req.header('if-none-match') === undefined;
  if (!first) {
    await new Promise<void>((resolve) => {
      held.push(resolve);
      if (full !== undefined && held.length >= full.count) full.tell();
    });
  }
  return c.body(bytes, 200, { etag: `"${version}"`, 'content-type': 'application/octet-stream', 'cache-control': 'no-store' });
});
app.post('/wake', (c) => {
  version++;
  for (const wake of held.splice(0, Number(c.req.query('count')))) wake();
  return c.body(null, 204);
});
app.get('/held', async (c) => {
  const count = Number(c.req.query('count'));
  if (held.length < count) {
    await new Promise<void>((tell) => {
      full = { count, tell };
    });
  }
  full = undefined;
  return c.body(null, 204);
});

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) });
