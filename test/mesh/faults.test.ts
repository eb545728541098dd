import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { say, startEcho } from '../support/grpc.ts';
import { send, sendHttp2, sendMany, statuses } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

const abort503 = { abort: { httpStatus: 503, body: 'broken', headers: { 'X-Why': 'test', 'content-type': 'text/x-test' } } };

describe('mesh: faults in real Envoys', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let frontend: Sidecar;
  let backend: Sidecar;
  let echo: Awaited<ReturnType<typeof startEcho>>;
  let grpc: Sidecar;

  before(async () => {
    const processes = await Processes.begin();
    mesh = await Mesh.start(processes);
    echo = await startEcho();
    frontend = await mesh.sidecar('frontend');
    backend = await mesh.sidecar('backend', { labels: { version: 'v2' } });
    grpc = await mesh.sidecar('grpc', { upstream: { host: '127.0.0.1', port: echo.port, http2: true } });
  });
  after(async () => {
    echo?.stop();
    await mesh?.end();
  });
  afterEach(async () => {
    const { items } = (await mesh.replica.ask('GET', '/v1/policies?limit=100')).body as { items: { metadata: { name: string } }[] };
    for (const { metadata } of items) await mesh.remove(metadata.name);
  });

  it('aborts over HTTP/1.1 and HTTP/2, marks it, and shows it in the access log and the metrics', async () => {
    const before = (await frontend.metric('faults_aborts_total')) ?? 0;
    await mesh.apply('p', { selector: { service: 'frontend' }, rules: [{ match: { path: { prefix: '/x' } }, fault: abort503 }] });
    for (const reply of [await send(`${frontend.inbound}/x?y=1`), await sendHttp2(`${frontend.inbound}/x`)]) {
      assert.equal(reply.status, 503);
      assert.equal(reply.body, 'broken');
      assert.equal(reply.headers['x-hfi-fault'], 'p/0');
      assert.equal(reply.headers['x-why'], 'test');
      assert.equal(reply.headers['content-type'], 'text/x-test');
      assert.equal(reply.headers['content-length'], '6');
    }
    assert.equal((await send(`${frontend.inbound}/other`)).body, 'upstream');
    const head = await send(`${frontend.inbound}/x`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.body], [503, '']);
    const post = await send(`${frontend.inbound}/x`, { method: 'POST', body: 'z'.repeat(500_000) });
    assert.equal(post.status, 503);
    assert.equal(await frontend.metric('faults_aborts_total'), before + 4);
    await until(
      () => frontend.accessLog().filter(({ details }) => String(details).includes('hfi_abort')).length === 4,
      'the access log shows them',
    );
    assert.ok(frontend.accessLog().some(({ details }) => details === 'via_upstream'));
  });

  it('answers gRPC with the gRPC status and message; the same rule answers other requests with HTTP', async () => {
    assert.equal((await say(`127.0.0.1:${new URL(grpc.inbound).port}`, 'hello')).body, 'hello');
    await mesh.apply('g', {
      selector: { service: 'grpc' },
      rules: [{ match: { path: { prefix: '/hfi.test.Echo/' } }, fault: { abort: { grpcStatus: 14, grpcMessage: 'gone fishing' } } }],
    });
    const answer = await say(`127.0.0.1:${new URL(grpc.inbound).port}`, 'hello');
    assert.deepEqual([answer.code, answer.message], [14, 'gone fishing']);
    const plain = await sendHttp2(`${grpc.inbound}/hfi.test.Echo/Say`);
    assert.deepEqual([plain.status, plain.body], [503, 'gone fishing']);
    const parameter = await sendHttp2(`${grpc.inbound}/hfi.test.Echo/Say`, {
      headers: { 'content-type': 'application/grpc;charset=utf-8' },
    });
    assert.deepEqual([parameter.status, parameter.body], [503, 'gone fishing']);
    await mesh.apply('g', { selector: { service: 'grpc' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    assert.equal((await say(`127.0.0.1:${new URL(grpc.inbound).port}`, 'hello')).code, 14);
    await mesh.apply('g', { selector: { service: 'grpc' }, rules: [{ fault: { delay: { fixed_delay: '150ms' } } }] });
    const late = await say(`127.0.0.1:${new URL(grpc.inbound).port}`, 'hello');
    assert.deepEqual([late.code, late.body], [0, 'hello']);
    assert.ok(late.ms >= 150);
  });

  it('delays, never less than asked; delays and aborts; waits for start_delay_ms', async () => {
    const delays = (await frontend.metric('faults_delays_total')) ?? 0;
    await mesh.apply('d', {
      selector: { service: 'frontend' },
      rules: [
        { match: { path: { exact: '/delay' } }, fault: { delay: { fixed_delay: '120ms' } } },
        { match: { path: { exact: '/both' } }, fault: { delay: { fixed_delay_ms: 80 }, abort: { httpStatus: 504 } } },
        { match: { path: { exact: '/late' } }, fault: { start_delay_ms: 60, abort: { httpStatus: 500 } } },
      ],
    });
    const seen = mesh.upstreamRequests;
    const [delayed, both, late] = await Promise.all([
      send(`${frontend.inbound}/delay`),
      sendHttp2(`${frontend.inbound}/both`),
      send(`${frontend.inbound}/late`),
    ]);
    assert.deepEqual([delayed?.status, both?.status, late?.status], [200, 504, 500]);
    for (const [reply, ms] of [
      [delayed, 120],
      [both, 80],
      [late, 60],
    ] as const) {
      assert.ok(reply !== undefined && reply.ms >= ms && reply.ms < ms + 100, `${reply?.ms} ms for ${ms}`);
    }
    assert.equal(mesh.upstreamRequests, seen + 1);
    assert.equal(await frontend.metric('faults_delays_total'), delays + 3);
    assert.equal(await frontend.metric('requests_delayed'), 0);
    await until(
      () => frontend.accessLog().filter(({ details }) => String(details).includes('hfi_delayed_abort')).length === 2,
      'the access log shows them',
    );
    // Envoy merges its histograms every 5 s.
    await until(
      async () => ((await frontend.metric('faults_delay_duration_milliseconds_count')) ?? 0) >= 3,
      'the histogram shows them',
      8000,
    );
  });

  it('goes by direction: inbound by default, outbound when asked', async () => {
    await mesh.apply('in', { selector: { service: 'frontend' }, rules: [{ fault: abort503 }] });
    assert.deepEqual([(await send(frontend.inbound)).status, (await send(frontend.outbound)).status], [503, 200]);
    await mesh.apply('in', { selector: { service: 'frontend' }, direction: 'outbound', rules: [{ fault: abort503 }] });
    assert.deepEqual([(await send(frontend.inbound)).status, (await send(frontend.outbound)).status], [200, 503]);
  });

  it('leaks nothing to a neighbour: 0 of 10,000', async () => {
    await mesh.apply('only', { selector: { namespace: 'demo', service: 'frontend' }, rules: [{ fault: abort503 }] });
    assert.deepEqual(statuses(await sendMany(backend.inbound, 10_000, 16)), { 200: 10_000 });
    assert.deepEqual(statuses(await sendMany(frontend.inbound, 500, 16)), { 503: 500 });
  });

  it('selects by namespace, service, workload and labels', async () => {
    for (const [selector, front, back] of [
      [{}, 503, 503],
      [{ namespace: '*', service: '*' }, 503, 503],
      [{ namespace: 'other' }, 200, 200],
      [{ workload: 'backend-v1' }, 200, 503],
      [{ labels: { version: 'v2' } }, 200, 503],
      [{ labels: { version: '*' } }, 503, 503],
      [{ service: 'frontend', labels: { version: 'v2' } }, 200, 200],
    ] as const) {
      await mesh.apply('s', { selector, rules: [{ fault: abort503 }] });
      assert.deepEqual(
        [(await send(frontend.inbound)).status, (await send(backend.inbound)).status],
        [front, back],
        JSON.stringify(selector),
      );
    }
  });

  it('matches method, path with and without query, and headers; leaves probes alone', async () => {
    await mesh.apply('m', {
      selector: { service: 'frontend' },
      rules: [
        { match: { method: { exact: 'PUT' } }, fault: { abort: { httpStatus: 501 } } },
        { match: { path: { exact: '/exact' } }, fault: { abort: { httpStatus: 502 } } },
        { match: { headers: [{ name: ':path', prefix: '/query?a=b' }] }, fault: { abort: { httpStatus: 505 } } },
        { match: { headers: [{ name: 'X-User', exact: 'one,two' }] }, fault: { abort: { httpStatus: 506 } } },
        { match: { headers: [{ name: 'Host', exact: 'special' }] }, fault: { abort: { httpStatus: 507 } } },
        { match: { path: { prefix: '/health' }, probes: true }, fault: { abort: { httpStatus: 508 } } },
        { match: { path: { prefix: '/all' } }, fault: { abort: { httpStatus: 503 } } },
      ],
    });
    const status = async (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      (await send(`${frontend.inbound}${path}`, { headers, method })).status;
    assert.equal(await status('/', {}, 'PUT'), 501);
    assert.equal(await status('/exact?with=query'), 502);
    assert.equal(await status('/exact/'), 200);
    assert.equal(await status('/query?a=b&c'), 505);
    assert.equal(await status('/query'), 200);
    assert.equal(await status('/', { 'x-USER': 'one,two' }), 506);
    assert.equal(await status('/', { host: 'special' }), 507);
    assert.equal(await status('/health', { 'user-agent': 'kube-probe/1.30' }), 508);
    assert.equal(await status('/all', { 'user-agent': 'kube-probe/1.30' }), 200);
    assert.equal(await status('/all', { 'user-agent': 'Envoy/HC' }), 200);
    assert.equal(await status('/all'), 503);
  });

  it('hits 10 % of 20,000 requests over two workers, and counts each', async () => {
    const before = (await frontend.metric('faults_aborts_total')) ?? 0;
    await mesh.apply('ten', { selector: { service: 'frontend' }, rules: [{ fault: { percentage: 10, ...abort503 } }] });
    const counts = statuses(await sendMany(frontend.inbound, 20_000, 32));
    const hits = counts[503] ?? 0;
    assert.equal(hits + (counts[200] ?? 0), 20_000);
    // The 99.9 % interval of a binomial distribution, by its normal approximation (z = 3.29).
    assert.ok(Math.abs(hits - 2000) < 3.29 * Math.sqrt(20_000 * 0.1 * 0.9), `${hits} hits`);
    assert.equal(await frontend.metric('faults_aborts_total'), before + hits);
  });

  it('the first rule that matches decides: by priority, then by name, also when its dice are lost', async () => {
    await mesh.apply('b', { rules: [{ fault: { abort: { httpStatus: 502 } } }] });
    await mesh.apply('a', { rules: [{ fault: { abort: { httpStatus: 501 } } }] });
    assert.equal((await send(frontend.inbound)).headers['x-hfi-fault'], 'a/0');
    await mesh.apply('b', { priority: 1, rules: [{ fault: { abort: { httpStatus: 502 } } }] });
    assert.equal((await send(frontend.inbound)).headers['x-hfi-fault'], 'b/0');
    await mesh.apply('z', { priority: 2, rules: [{ fault: { percentage: 0, abort: { httpStatus: 500 } } }] });
    assert.deepEqual(statuses(await sendMany(frontend.inbound, 200, 4)), { 200: 200 });
  });

  it('forgets a client that goes away during a delay', async () => {
    await mesh.apply('d', {
      selector: { service: 'frontend' },
      rules: [{ fault: { delay: { fixed_delay: '20s' }, abort: { httpStatus: 500 } } }],
    });
    const gone = new AbortController();
    const sent = Array.from({ length: 20 }, () => send(frontend.inbound, { signal: gone.signal }));
    await until(async () => (await frontend.metric('requests_delayed')) === 20, 'they are held');
    gone.abort();
    await Promise.all(sent);
    await until(async () => (await frontend.metric('requests_delayed')) === 0, 'they are forgotten long before their time', 3000);
    await mesh.remove('d');
    assert.equal((await send(frontend.inbound)).status, 200);
  });

  it('ends everywhere at the same moment, on time, also on an Envoy that was restarted', async () => {
    await mesh.apply('timed', { rules: [{ fault: { ...abort503, duration_seconds: 4 } }] });
    const { body } = await mesh.replica.ask('GET', '/v1/policies/timed');
    const end = Date.parse((body.status as { endsAt: string }).endsAt);
    await backend.kill();
    await backend.restart();
    await until(async () => (await send(backend.inbound)).status === 503, 'the restarted one faults again', 3000);
    await sleep(end - Date.now() - 100);
    for (const sidecar of [frontend, backend]) assert.equal((await send(sidecar.inbound)).status, 503);
    await sleep(end - Date.now() + 30);
    for (const sidecar of [frontend, backend]) assert.deepEqual(statuses(await sendMany(sidecar.inbound, 50, 4)), { 200: 50 });
  });

  it('200 policies replaced under load: no error that no rule asked for', async () => {
    let running = true;
    const load = (async () => {
      const counts: Record<number, number> = {};
      while (running)
        for (const [status, n] of Object.entries(statuses(await sendMany(frontend.inbound, 500, 8))))
          counts[Number(status)] = (counts[Number(status)] ?? 0) + n;
      return counts;
    })();
    for (let i = 0; i < 200; i++) {
      const reply = await mesh.replica.put(`load-${i % 20}`, {
        priority: i,
        rules: [{ match: { path: { exact: `/never/${i}` } }, fault: abort503 }],
      });
      assert.ok(reply.status < 300, reply.text);
    }
    running = false;
    assert.deepEqual(Object.keys(await load), ['200']);
  });
});
