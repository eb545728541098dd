import assert from 'node:assert/strict';
import { createServer as createHttpServer, request, type Server } from 'node:http';
import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { send, sendHttp2, sendMany, statuses } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes } from '../support/processes.ts';

type Rule = PolicyInput['spec']['rules'][number];

const MIB = 1_048_576;
const LARGE = 40 * MIB;

/** Sentences of the policy reference that take a real Envoy, and that no conformance case can show. */
describe('mesh: what the reference says', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let proxy: Sidecar;
  let http2: Http2Server;
  let overHttp2: Sidecar;
  let large: Server;
  let beforeLarge: Sidecar;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    http2 = createServer();
    // Head, body and end leave as one.
    http2.on('stream', (stream) => {
      stream.respond({ ':status': 200, 'content-length': '10' });
      stream.end('0123456789');
    });
    await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve));
    proxy = await mesh.sidecar('frontend');
    const upstream = { host: '127.0.0.1', port: (http2.address() as AddressInfo).port, http2: true };
    overHttp2 = await mesh.sidecar('http2', { upstream });
    large = createHttpServer((_request, response) => void response.end(Buffer.alloc(LARGE, 'x')));
    await new Promise<void>((resolve) => large.listen(0, '127.0.0.1', resolve));
    beforeLarge = await mesh.sidecar('large', { upstream: { host: '127.0.0.1', port: (large.address() as AddressInfo).port } });
  });
  after(async () => {
    large?.closeAllConnections();
    large?.close();
    http2?.close();
    await mesh?.end();
  });

  const inForce = (...rules: Rule[]): Promise<void> => mesh.apply('p', { rules });
  const abort = { abort: { httpStatus: 503 } };

  it('a port is the one at which the request arrived, not the one in its authority', async () => {
    const port = Number(new URL(proxy.inbound).port);
    await inForce({ match: { port }, fault: abort });
    assert.equal((await send(proxy.inbound, { headers: { host: 'shop:1' } })).status, 503);
    assert.equal((await send(overHttp2.inbound, { headers: { host: `shop:${port}` } })).status, 200);
    await inForce({ match: { not: { port } }, fault: abort });
    assert.deepEqual([(await send(proxy.inbound)).status, (await send(overHttp2.inbound)).status], [200, 503]);
  });

  it('the caller sees a reset over HTTP/1.1 after a second, and over HTTP/2 at once', async () => {
    await inForce({ fault: { abort: { reset: true } } });
    const slow = await send(proxy.inbound);
    assert.deepEqual([slow.status, slow.body], [0, '']);
    assert.ok(slow.ms > 900 && slow.ms < 2000, `${slow.ms} ms`);
    const fast = await sendHttp2(proxy.inbound);
    assert.equal(fast.status, 0);
    assert.ok(fast.ms < 500, `${fast.ms} ms`);
  });

  it('a response that an HTTP/2 service sends with its end breaks off in front of its body', async () => {
    await inForce({ fault: { response: { truncate: { bytes: 3 } } } });
    const { status, body } = await sendHttp2(overHttp2.inbound);
    assert.deepEqual([status, body], [0, '']);
    await inForce({ fault: { response: { truncate: { bytes: 3, end: 'clean' } } } });
    const clean = await sendHttp2(overHttp2.inbound);
    assert.deepEqual([clean.status, clean.body, clean.headers['content-length']], [200, '012', '3']);
  });

  it('of a large body that is throttled only what the connection buffers is kept: the service waits', async () => {
    const read = async (): Promise<number> => {
      const page = await (await fetch(`${beforeLarge.admin}/stats?filter=cluster.inbound.upstream_cx_rx_bytes_total`)).text();
      return Number(/: (\d+)/.exec(page)?.[1]);
    };
    await inForce({ fault: { response: { throttle: '1MiB/s' } } });
    const before = await read();
    let got = 0;
    const begun = performance.now();
    await new Promise<void>((resolve, reject) => {
      const sent = request(beforeLarge.inbound, (response) => {
        response.on('error', () => {});
        response.on('data', (bytes: Buffer) => {
          got += bytes.length;
          if (got > 2 * MIB) resolve(void sent.destroy());
        });
      });
      sent.on('error', reject);
      sent.end();
    });
    const ahead = (await read()) - before - got;
    assert.ok(performance.now() - begun > 1000, `${got} bytes in ${performance.now() - begun} ms`);
    // A connection of the sandbox buffers 1 MiB, the service's as well as the caller's, and between them the filter chain.
    assert.ok(ahead < 5 * MIB, `${ahead} bytes were read ahead of ${LARGE}`);
  });

  it('turns are counted over both workers, until the next apply or restart, whatever other policies do', async () => {
    const hit = async (requests: number): Promise<number> => statuses(await sendMany(proxy.inbound, requests, 16))[503] ?? 0;
    await inForce({ match: { every: 10 }, fault: abort });
    assert.equal(await hit(1000), 100);
    await inForce({ match: { limit: 50 }, fault: abort });
    assert.equal(await hit(300), 50);
    await mesh.apply('other', { rules: [{ match: { path: { exact: '/never' } }, fault: abort }] });
    assert.equal(await hit(100), 0);
    await proxy.kill();
    await proxy.restart();
    assert.equal(await hit(300), 50);
    await inForce({ match: { limit: 20 }, fault: abort });
    assert.equal(await hit(300), 20);
    await mesh.remove('other');
  });
});
