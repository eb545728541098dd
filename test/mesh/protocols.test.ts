import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { say, startEcho } from '../support/grpc.ts';
import { send } from '../support/load.ts';
import { ManySidedService } from '../support/many-sided-service.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

type Fault = PolicyInput['spec']['rules'][number]['fault'];

/** What the faults do in each corner of HTTP, to real clients of a real Envoy. */
describe('mesh: faults and protocols', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let service: ManySidedService;
  let proxy: Sidecar;
  let echo: Awaited<ReturnType<typeof startEcho>>;
  let grpc: Sidecar;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    service = await ManySidedService.start();
    echo = await startEcho();
    proxy = await mesh.sidecar('frontend', { upstream: { host: '127.0.0.1', port: service.port } });
    grpc = await mesh.sidecar('grpc', { upstream: { host: '127.0.0.1', port: echo.port, http2: true } });
  });
  after(async () => {
    service?.stop();
    echo?.stop();
    await mesh?.end();
  });

  /** Puts one fault in force for the paths that begin so. */
  const inForce = (fault: Fault, prefix = '/'): Promise<void> => mesh.apply('p', { rules: [{ match: { path: { prefix } }, fault }] });

  /** Sends bytes, and gives all that comes until the other side closes, or for a time. */
  const raw = async (text: string, ms: number): Promise<{ text: string; closed: boolean; socket: Socket }> => {
    const socket = connect(Number(new URL(proxy.inbound).port), '127.0.0.1');
    let got = '';
    let closed = false;
    socket.on('data', (bytes: Buffer) => {
      got += bytes.toString();
    });
    socket.on('close', () => {
      closed = true;
    });
    socket.on('error', () => {});
    socket.write(text);
    const until = Date.now() + ms;
    while (!closed && Date.now() < until) await sleep(5);
    return { text: got, closed, socket };
  };

  it('truncate with a reset lets the first bytes through and then breaks off, over HTTP/1.1', async () => {
    await inForce({ response: { truncate: { bytes: 3 } } });
    const { text, closed } = await raw('GET /a HTTP/1.1\r\nhost: x\r\n\r\n', 5000);
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(text, /\r\ncontent-length: 8\r\n/);
    assert.ok(text.endsWith('\r\n\r\nups'), text);
    assert.ok(closed);
  });

  it('a reset ends one HTTP/2 stream at once, and the connection goes on', async () => {
    await inForce({ abort: { reset: true } }, '/reset');
    const session = connectHttp2(proxy.inbound);
    const ask = (path: string): Promise<string> =>
      new Promise((resolve) => {
        const begun = Date.now();
        const stream = session.request({ ':path': path });
        stream.on('response', (headers) => resolve(String(headers[':status'])));
        stream.on('error', (error: NodeJS.ErrnoException) => resolve(`${error.code} ${Date.now() - begun < 500 ? 'at once' : 'late'}`));
        stream.resume();
      });
    assert.equal(await ask('/reset'), 'ERR_HTTP2_STREAM_ERROR at once');
    assert.equal(await ask('/other'), '200');
    session.close();
  });

  it('a replaced body is no longer packed, no longer a part, and has its own length', async () => {
    await inForce({ response: { body: 'plain' } });
    for (const path of ['/gzip', '/part', '/large', '/chunked']) {
      const { status, body, headers } = await send(`${proxy.inbound}${path}`);
      assert.deepEqual([path, status, body], [path, 200, 'plain']);
      assert.deepEqual([headers['content-encoding'], headers['content-range'], headers['content-length']], [undefined, undefined, '5']);
    }
  });

  it('an answer without a body gets none: HEAD and 204; the connection stays good', async () => {
    await inForce({ response: { body: 'plain', headers: { set: { 'x-a': '1' } } } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    for (const [method, path] of [
      ['HEAD', '/'],
      ['GET', '/empty'],
      ['GET', '/'],
      ['HEAD', '/large'],
      ['GET', '/'],
    ] as const) {
      const answer = await new Promise<{ body: string; header: unknown }>((resolve, reject) => {
        const sent = request(`${proxy.inbound}${path}`, { method, agent }, (response) => {
          sockets.add(response.socket);
          let body = '';
          response.on('data', (bytes: Buffer) => {
            body += bytes.toString();
          });
          response.on('end', () => resolve({ body, header: response.headers['x-a'] }));
        });
        sent.on('error', reject);
        sent.end();
      });
      assert.deepEqual(answer, { body: method === 'GET' && path === '/' ? 'plain' : '', header: '1' });
    }
    assert.equal(sockets.size, 1);
    agent.destroy();
  });

  for (const [what, fault, check] of [
    [
      'passes a large upload through when nothing asks for more',
      { request: { headers: { set: { 'x-a': '1' } } } },
      (size: number) => size === 3_000_000,
    ],
    ['cuts a large upload short', { request: { truncate: { bytes: 1000 } } }, (size: number) => size === 1000],
    ['replaces a large upload', { request: { body: 'small' } }, (size: number) => size === 5],
    [
      'corrupts a large upload without changing its length',
      { request: { corrupt: { percentage: 10 } } },
      (size: number) => size === 3_000_000,
    ],
  ] as [string, Fault, (size: number) => boolean][]) {
    it(`${what}, with the right content-length`, async () => {
      await inForce(fault);
      const { status } = await send(proxy.inbound, { method: 'POST', body: 'u'.repeat(3_000_000) });
      assert.equal(status, 200);
      const { headers, body } = service.last ?? { headers: {}, body: Buffer.alloc(0) };
      assert.ok(check(body.length), `${body.length} bytes`);
      assert.equal(headers['content-length'] ?? String(body.length), String(body.length));
    });
  }

  it('corrupts the same bytes of the same body each time, and about as many as asked', async () => {
    await inForce({ response: { corrupt: { percentage: 10, seed: 5 } } });
    const [first, second] = [await send(`${proxy.inbound}/large`), await send(`${proxy.inbound}/large`)];
    assert.equal(first.body.length, 2_000_000);
    assert.ok(first.body === second.body);
    const share = [...first.body].filter((letter) => letter !== 'x').length / 2_000_000;
    assert.ok(Math.abs(share - 0.1) < 0.002, `${share}`);
  });

  it('throttles a large body to its rate, in both directions', async () => {
    await inForce({ response: { throttle: '1MiB/s' } });
    const down = await send(`${proxy.inbound}/large`);
    assert.equal(down.body.length, 2_000_000);
    assert.ok(down.ms > 1800 && down.ms < 2600, `${down.ms} ms down`);
    await inForce({ request: { throttle: '1MiB/s' } });
    const up = await send(proxy.inbound, { method: 'POST', body: 'u'.repeat(1_048_576) });
    assert.equal(service.last?.body.length, 1_048_576);
    assert.ok(up.ms > 950 && up.ms < 1600, `${up.ms} ms up`);
  });

  it('lets nothing behind when a client goes away in a throttled body or a delayed answer', async () => {
    for (const fault of [{ response: { throttle: '1KiB/s' } }, { delay: { fixed_delay: '30s', at: 'response' } }] as Fault[]) {
      await inForce(fault);
      const { socket } = await raw('GET /large HTTP/1.1\r\nhost: x\r\n\r\n', 200);
      socket.destroy();
      await until(async () => (await proxy.metric('requests_delayed')) === 0, 'nothing is held any more', 3000);
    }
    await inForce({ abort: { httpStatus: 503 } });
    assert.equal((await send(proxy.inbound)).status, 503);
  });

  it('leaves the bytes of a WebSocket alone, and can delay, throttle, abort and reset it', async () => {
    const upgrade = 'GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhello';
    await inForce({ response: { body: 'no', headers: { set: { 'x-a': '1' } } } });
    const changed = await raw(upgrade, 500);
    assert.match(changed.text, /^HTTP\/1\.1 101 /);
    assert.match(changed.text, /\r\nx-a: 1\r\n/);
    assert.ok(changed.text.endsWith('\r\n\r\nhello'), changed.text);
    changed.socket.destroy();
    await inForce({ response: { latency: '200ms' }, delay: { fixed_delay: '100ms' } });
    const slow = await raw(upgrade, 150);
    assert.ok(!slow.text.includes('hello'));
    await sleep(500);
    slow.socket.destroy();
    await inForce({ abort: { httpStatus: 503 } });
    assert.match((await raw(upgrade, 200)).text, /^HTTP\/1\.1 503 /);
    await inForce({ abort: { reset: true } });
    assert.deepEqual(await raw(upgrade, 3000).then(({ text, closed }) => [text, closed]), ['', true]);
  });

  it('answers a request that expects 100-continue before its body is sent for; other faults let the 100 pass', async () => {
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n';
    await inForce({ abort: { httpStatus: 503 } });
    assert.match((await raw(head, 300)).text, /^HTTP\/1\.1 503 /);
    await inForce({ response: { status: 418 } });
    assert.match((await raw(head, 300)).text, /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    assert.match((await raw(`${head}hello`, 300)).text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 418 /);
    await inForce({ delay: { fixed_delay: '300ms' } });
    assert.equal((await raw(head, 100)).text, '', 'the service has not been asked yet');
  });

  it('fails a good gRPC call by its trailers, and resets one', async () => {
    const address = `127.0.0.1:${new URL(grpc.inbound).port}`;
    await inForce({ response: { trailers: { 'grpc-status': '14', 'grpc-message': 'lost' } } });
    const lost = await say(address, 'hello');
    assert.deepEqual([lost.code, lost.message], [14, 'lost']);
    await inForce({ abort: { reset: true, at: 'response' } });
    const { code } = await say(address, 'hello');
    assert.ok([1, 13, 14].includes(code), `${code}`);
    await inForce({ abort: { grpcStatus: 8, grpcMessage: 'after the work', at: 'response' } });
    const late = await say(address, 'hello');
    assert.deepEqual([late.code, late.message], [8, 'after the work']);
  });

  it('answers CONNECT as a proxy without tunnels does, fault or not', async () => {
    await inForce({ response: { body: 'no' } });
    assert.match((await raw('CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n', 300)).text, /^HTTP\/1\.1 40[34] /);
  });
});
