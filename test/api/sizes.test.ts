import assert from 'node:assert/strict';
import { request } from 'node:http';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, residentMemory } from '../support/processes.ts';

const MIB = 1024 * 1024;
/** What a client tries to send. */
const FLOOD_BYTES = 64 * MIB;

interface Ended {
  readonly status: number;
  /** Bytes that the control plane took before it answered. */
  readonly sent: number;
}

/** Sends without end until there is an answer, or the connection is closed. */
function flood(port: number, method: string, path: string, token: string | undefined): Promise<Ended> {
  return new Promise((resolve) => {
    let sent = 0;
    let status = 0;
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      asking.destroy();
      resolve({ status, sent });
    };
    const headers = {
      'content-type': 'application/json',
      'transfer-encoding': 'chunked',
      'x-hfi-proxy': 'flooder',
      'x-hfi-namespace': 'demo',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const asking = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      status = answer.statusCode ?? 0;
      answer.resume();
      // Events have no end: what matters is whether more is taken meanwhile.
      if (answer.headers['content-type']?.startsWith('text/event-stream') === true) setTimeout(end, 500);
      answer.on('end', end);
      answer.on('close', end);
    });
    asking.on('error', end);
    asking.on('close', end);
    const chunk = Buffer.alloc(MIB / 4, ' ');
    const more = (): void => {
      if (over || sent >= FLOOD_BYTES) return;
      sent += chunk.length;
      asking.write(chunk, () => setImmediate(more));
    };
    asking.flushHeaders();
    more();
  });
}

describe('API: how much may be sent', function () {
  this.timeout(60_000);
  let processes: Processes;
  let replica: Replica;
  let routes: { method: string; path: string }[];

  before(async () => {
    processes = await Processes.begin();
    replica = await Replica.start(processes, (await Etcd.start(processes)).url);
    const { body } = await replica.ask('GET', '/openapi.json', { role: 'none' });
    const paths = body.paths as Record<string, Record<string, unknown>>;
    routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: path.replace('{name}', 'x') })),
    );
    routes.push({ method: 'POST', path: '/v1/nowhere' }, { method: 'PATCH', path: '/v1/policies' });
  });
  after(() => processes.end());

  for (const [who, token] of [
    ['an admin', TOKENS.admin],
    ['a proxy', TOKENS.proxy],
    ['somebody without a token', undefined],
  ] as const) {
    it(`${who} who sends 64 MiB is answered, or cut off, long before, at every route, and memory stays`, async () => {
      const pid = replica.child.pid ?? 0;
      const before = residentMemory(pid);
      assert.ok(routes.length > 15);
      for (const { method, path } of routes) {
        const { status, sent } = await flood(replica.port, method, path, token);
        assert.ok(sent < FLOOD_BYTES / 2, `${method} ${path}: ${sent} bytes were taken, then ${status}`);
        assert.ok(status < 500, `${method} ${path}: ${status}`);
      }
      const grown = residentMemory(pid) - before;
      assert.ok(grown < 64 * MIB, `${Math.round(grown / MIB)} MiB more`);
      assert.equal((await replica.ask('GET', '/v1/status')).status, 200);
    });
  }

  for (const [method, path] of [
    ['POST', '/v1/policies'],
    ['PUT', '/v1/policies/x'],
    ['POST', '/v1/tokens'],
  ] as const) {
    it(`${method} ${path}: a body of more than 1 MiB is 413, whether its length is said or not`, async () => {
      const body = ' '.repeat(MIB + 1);
      const said = await replica.ask(method, path, { body, headers: { 'content-type': 'application/json' } });
      assert.deepEqual([said.status, said.body.code], [413, 'too-large']);
      assert.equal((await flood(replica.port, method, path, TOKENS.admin)).status, 413);
    });
  }

  it('headers of more than 16 KiB are refused', async () => {
    const reply = await replica.ask('GET', '/v1/status', { headers: { 'x-long': 'a'.repeat(17 * 1024) } });
    assert.equal(reply.status, 431);
  });
});
