import { timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { SandboxFailure } from './failure.ts';
import type { SandboxState } from './state.ts';

/** Listens on a free port of the loopback for `POST /restart/PART` from this user's other `hfi` processes. */
export async function takeOrders(token: string, restart: (part: string) => Promise<void>): Promise<{ url: string; server: Server }> {
  const expected = Buffer.from(`Bearer ${token}`);
  const server = createServer((request, response) => {
    const given = Buffer.from(request.headers.authorization ?? '');
    const part = /^\/restart\/([\w-]+)$/.exec(request.url ?? '')?.[1];
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) response.writeHead(401).end();
    else if (request.method !== 'POST' || part === undefined) response.writeHead(404).end();
    else
      restart(part).then(
        () => response.writeHead(200).end(),
        (error: unknown) => response.writeHead(409).end(error instanceof Error ? error.message : String(error)),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, server };
}

/** Asks the running sandbox to restart a part; resolves when it is ready again. Throws SandboxFailure with its reason. */
export async function orderRestart({ orders }: SandboxState, part: string): Promise<void> {
  const answer = await fetch(`${orders.url}/restart/${encodeURIComponent(part)}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${orders.token}` },
  });
  if (answer.status !== 200) throw new SandboxFailure((await answer.text()) || `The sandbox refused (${answer.status}).`);
}
