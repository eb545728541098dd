import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { ManySidedService } from '../support/many-sided-service.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

type Fault = PolicyInput['spec']['rules'][number]['fault'];

/** One stream as its client saw it. */
interface Seen {
  readonly headers: IncomingHttpHeaders & { ':status'?: number | undefined };
  readonly bytes: number;
  readonly ms: number;
  /** Whether it ended as the protocol has it, and not by a reset. */
  readonly whole: boolean;
}

const FAULTS: readonly (readonly [path: string, fault: Fault])[] = [
  ['/abort', { abort: { httpStatus: 418, body: 'teapot', headers: { 'x-a': 'b' } } }],
  ['/late', { abort: { httpStatus: 418, at: 'response' } }],
  ['/reset', { abort: { reset: true } }],
  ['/delay', { delay: { fixed_delay_ms: 300 } }],
  ['/long', { delay: { fixed_delay: '60s' } }],
  ['/answer', { delay: { fixed_delay_ms: 300, at: 'response' } }],
  ['/large/broken', { response: { truncate: { bytes: 1000 } } }],
  ['/large/short', { response: { truncate: { bytes: 1000, end: 'clean' } } }],
  ['/large/slow', { response: { throttle: '2MiB/s' } }],
  ['/upload', { request: { throttle: '1MiB/s' } }],
];
const LARGE_BYTES = 2_000_000;

/** What the faults do to the streams of one HTTP/2 connection, all of them under way at once. */
describe('mesh: faults of one HTTP/2 connection', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let service: ManySidedService;
  let proxy: Sidecar;
  let session: ClientHttp2Session;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    service = await ManySidedService.start();
    proxy = await mesh.sidecar('frontend', { upstream: { host: '127.0.0.1', port: service.port } });
    await mesh.apply('p', { rules: FAULTS.map(([path, fault]) => ({ match: { path: { exact: path } }, fault })) });
    session = connect(proxy.inbound);
    session.on('error', () => {});
  });
  after(async () => {
    session?.close();
    service?.stop();
    await mesh?.end();
  });

  const ask = (path: string, body?: Buffer): Promise<Seen> =>
    new Promise((resolve) => {
      const begun = performance.now();
      const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST' });
      let headers: Seen['headers'] = {};
      let [bytes, whole] = [0, false];
      stream.on('response', (received) => {
        headers = received;
      });
      stream.on('data', (piece: Buffer) => {
        bytes += piece.length;
      });
      stream.on('end', () => {
        whole = stream.rstCode === 0;
      });
      // A reset is told by `whole`.
      stream.on('error', () => {});
      stream.on('close', () => resolve({ headers, bytes, ms: performance.now() - begun, whole: whole && stream.rstCode === 0 }));
      stream.end(body);
    });

  it('each gets its own fault, those beside it none, and the connection lives on', async () => {
    const [aborted, late, reset, delayed, answer, broken, short, slow, upload, neighbour, large] = await Promise.all([
      ask('/abort'),
      ask('/late'),
      ask('/reset'),
      ask('/delay'),
      ask('/answer'),
      ask('/large/broken'),
      ask('/large/short'),
      ask('/large/slow'),
      ask('/upload', Buffer.alloc(1_048_576, 'u')),
      ask('/neighbour'),
      ask('/large'),
    ]);
    const told = ({ headers, bytes, whole }: Seen) => [headers[':status'], bytes, whole];
    assert.deepEqual(told(aborted), [418, 6, true]);
    assert.deepEqual([aborted.headers['x-a'], aborted.headers['x-hfi-fault']], ['b', 'p/0']);
    assert.deepEqual([late.headers[':status'], late.headers['x-hfi-fault'], late.whole], [418, 'p/1', true]);
    assert.deepEqual(told(reset), [undefined, 0, false]);
    assert.ok(reset.ms < 900, `reset after ${reset.ms} ms`);
    for (const one of [delayed, answer]) {
      assert.deepEqual(told(one), [200, 8, true]);
      assert.ok(one.ms >= 300 && one.ms < 1500, `held for ${one.ms} ms`);
    }
    assert.deepEqual(told(broken), [200, 1000, false]);
    assert.equal(broken.headers['content-length'], String(LARGE_BYTES));
    assert.deepEqual(told(short), [200, 1000, true]);
    assert.equal(short.headers['content-length'], '1000');
    assert.deepEqual(told(slow), [200, LARGE_BYTES, true]);
    assert.ok(slow.ms > 900 && slow.ms < 2000, `${slow.ms} ms down`);
    assert.deepEqual(told(upload), [200, 8, true]);
    assert.ok(upload.ms > 950 && upload.ms < 2000, `${upload.ms} ms up`);
    for (const [one, bytes] of [
      [neighbour, 8],
      [large, LARGE_BYTES],
    ] as const) {
      assert.deepEqual(told(one), [200, bytes, true]);
      assert.equal(one.headers['x-hfi-fault'], undefined);
    }
    assert.ok(neighbour.ms < delayed.ms, `a neighbour took ${neighbour.ms} ms`);
    assert.ok(!session.closed && !session.destroyed);
    assert.deepEqual(told(await ask('/neighbour')), [200, 8, true]);
  });

  it('a client that resets a held stream leaves nothing behind, and disturbs no other', async () => {
    const held = (count: number): Promise<unknown> =>
      until(async () => (await proxy.metric('requests_delayed')) === count, `${count} held`, 5000);
    const stream = session.request({ ':path': '/long' });
    stream.on('error', () => {});
    await held(1);
    const other = ask('/delay');
    stream.close();
    const { headers, ms, whole } = await other;
    assert.deepEqual([headers[':status'], whole], [200, true]);
    assert.ok(ms >= 300, `${ms} ms`);
    await held(0);
  });
});
