import assert from 'node:assert/strict';
import { Envoy, made } from './envoy.ts';

const HOLD = 4;

describe('filter: faults', () => {
  it('passes everything before the first ruleset, and with an empty one', () => {
    const envoy = new Envoy();
    assert.equal(envoy.request().action, 0);
    envoy.serve([]);
    assert.equal(envoy.request().action, 0);
    assert.equal(envoy.process.metric('wasmcustom.hfi_faults_aborts_total'), 0);
  });

  it('aborts with status, body and headers, and names the rule', () => {
    const envoy = new Envoy();
    envoy.serve([
      made('p', {
        rules: [
          { match: { path: { exact: '/no' } }, fault: { abort: { httpStatus: 400 } } },
          { fault: { abort: { httpStatus: 503, body: 'bröken', headers: { 'X-Why': 'test' } } } },
        ],
      }),
    ]);
    const stream = envoy.request();
    assert.equal(stream.action, 1);
    assert.deepEqual(stream.replies, [
      {
        status: 503,
        details: 'hfi_abort',
        body: 'bröken',
        headers: [
          ['x-hfi-fault', 'p/1'],
          ['x-why', 'test'],
        ],
        grpcStatus: -1,
      },
    ]);
    assert.equal(envoy.process.metric('wasmcustom.hfi_faults_aborts_total'), 1);
    assert.equal(envoy.process.metric('wasmcustom.hfi_faults_delays_total'), 0);
  });

  it('answers a gRPC call with the gRPC status, and another request with the HTTP status it stands for', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { abort: { grpcStatus: 14, grpcMessage: 'gone' } } }] })]);
    const grpc = envoy.request([['content-type', 'application/grpc+proto']]);
    assert.deepEqual([grpc.replies[0]?.status, grpc.replies[0]?.grpcStatus, grpc.replies[0]?.body], [200, 14, 'gone']);
    for (const type of ['application/json', 'application/grpc-web', 'application/grpc;charset=utf-8']) {
      const plain = envoy.request([['content-type', type]]);
      assert.deepEqual([plain.replies[0]?.status, plain.replies[0]?.grpcStatus], [503, -1], type);
    }
  });

  it('holds a delayed request for its time, never less, and lets it go once', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { start_delay_ms: 50, delay: { fixed_delay: '100ms' } } }] })]);
    const stream = envoy.request();
    assert.equal(stream.action, HOLD);
    envoy.process.advance(149.9);
    assert.equal(stream.continued, 0);
    envoy.process.advance(1.1);
    assert.equal(stream.continued, 1);
    envoy.process.advance(500);
    assert.equal(stream.continued, 1);
    assert.deepEqual(stream.replies, []);
    assert.equal(envoy.process.metric('wasmcustom.hfi_faults_delays_total'), 1);
    assert.equal(envoy.process.metric('wasmcustom.hfi_requests_delayed'), 0);
    assert.deepEqual(envoy.process.metrics.get('wasmcustom.hfi_faults_delay_duration_milliseconds')?.records, [150n]);
  });

  it('delays, then aborts, with what the rule said when the request came, whatever ruleset came since', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { delay: { fixed_delay_ms: 100 }, abort: { httpStatus: 418, body: 'tea' } } }] })]);
    const first = envoy.request();
    const second = envoy.request();
    for (let i = 0; i < 5; i++)
      envoy.serve([made(`q${i}`, { rules: [{ fault: { abort: { httpStatus: 500, body: 'x'.repeat(5000) } } }] })]);
    envoy.process.advance(101);
    for (const stream of [first, second]) {
      assert.equal(stream.continued, 0);
      assert.deepEqual(
        stream.replies.map(({ status, body, details, headers }) => ({ status, body, details, headers })),
        [{ status: 418, body: 'tea', details: 'hfi_delayed_abort', headers: [['x-hfi-fault', 'p/0']] }],
      );
    }
  });

  it('does not stop a request that comes by when a delayed abort is due', () => {
    const envoy = new Envoy();
    envoy.serve([
      made('p', {
        rules: [{ match: { path: { exact: '/held' } }, fault: { delay: { fixed_delay_ms: 100 }, abort: { httpStatus: 418 } } }],
      }),
    ]);
    const held = envoy.request([[':path', '/held']]);
    envoy.process.nowNs += 150_000_000n;
    assert.equal(envoy.request().action, 0);
    envoy.process.advance(1);
    assert.equal(held.replies.length, 1);
  });

  it('lets a due request go when another comes by, before the timer is there', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ match: { path: { exact: '/held' } }, fault: { delay: { fixed_delay_ms: 100 } } }] })]);
    const held = envoy.request([[':path', '/held']]);
    envoy.process.nowNs += 150_000_000n;
    const other = envoy.request();
    assert.deepEqual([held.continued, other.action, other.continued], [1, 0, 0]);
  });

  it('forgets a request whose client went away during the delay', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { delay: { fixed_delay_ms: 100 }, abort: { httpStatus: 418 } } }] })]);
    const gone = envoy.request();
    const stays = envoy.request();
    envoy.vm.end(gone);
    assert.equal(envoy.process.metric('wasmcustom.hfi_requests_delayed'), 1);
    envoy.process.advance(200);
    assert.equal(gone.replies.length + gone.continued, 0);
    assert.equal(stays.replies.length, 1);
    assert.equal(envoy.process.metric('wasmcustom.hfi_requests_delayed'), 0);
  });

  it('lets requests go in the order of their deadlines, with many waiting and some gone', () => {
    const envoy = new Envoy();
    const delays = [30, 500, 20, 300, 250, 10, 90, 400, 60, 200];
    envoy.serve([
      made('p', { rules: delays.map((ms) => ({ match: { path: { exact: `/${ms}` } }, fault: { delay: { fixed_delay_ms: ms } } })) }),
    ]);
    const streams = Array.from({ length: 300 }, (_, i) => {
      const ms = delays[(i * 7) % delays.length] ?? 0;
      return { ms, stream: envoy.request([[':path', `/${ms}`]]) };
    });
    const goners = streams.filter((_, i) => i % 3 === 0);
    for (const { stream } of goners) envoy.vm.end(stream);
    for (let at = 0; at <= 510; at += 5) {
      for (const { ms, stream } of streams) {
        assert.equal(stream.continued, stream.ended || at < ms ? 0 : 1, `${ms} ms at ${at} ms`);
      }
      envoy.process.advance(5);
    }
    assert.equal(envoy.process.metric('wasmcustom.hfi_requests_delayed'), 0);
  });

  it('holds no more than the configured number; the rest pass and are counted', () => {
    const envoy = new Envoy(1, { maxDelayedRequests: 3 });
    envoy.serve([made('p', { rules: [{ fault: { delay: { fixed_delay_ms: 100 } } }] })]);
    const actions = Array.from({ length: 5 }, () => envoy.request().action);
    assert.deepEqual(actions, [HOLD, HOLD, HOLD, 0, 0]);
    assert.equal(envoy.process.metric('wasmcustom.hfi_faults_delays_overflow_total'), 2);
    envoy.process.advance(101);
    assert.equal(envoy.request().action, HOLD);
  });

  it('holds no more than that over all workers of the proxy', () => {
    const envoy = new Envoy(3, { maxDelayedRequests: 4 });
    envoy.serve([made('p', { rules: [{ fault: { delay: { fixed_delay_ms: 100 } } }] })]);
    envoy.process.advance(1);
    const streams = [...envoy.roots].flatMap(([vm, root]) => Array.from({ length: 4 }, () => envoy.request([], vm, root)));
    assert.equal(streams.filter(({ action }) => action === HOLD).length, 4);
    assert.equal(envoy.process.metric('wasmcustom.hfi_faults_delays_overflow_total'), 8);
    envoy.process.advance(110);
    assert.equal(envoy.process.metric('wasmcustom.hfi_requests_delayed'), 0);
  });

  it('hits the asked share of requests', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { percentage: 10, abort: { httpStatus: 503 } } }] })]);
    const requests = 20_000;
    let hits = 0;
    for (let i = 0; i < requests; i++) {
      const stream = envoy.request();
      hits += stream.replies.length;
      envoy.vm.end(stream);
    }
    // The 99.9 % interval of a binomial distribution, by its normal approximation (z = 3.29).
    const spread = 3.29 * Math.sqrt(requests * 0.1 * 0.9);
    assert.ok(Math.abs(hits - requests * 0.1) < spread, `${hits} of ${requests}`);
  });

  it('never hits at 0 percent, always at 100', () => {
    const envoy = new Envoy();
    envoy.serve([
      made('p', {
        rules: [
          { match: { path: { prefix: '/a' } }, fault: { percentage: 0, abort: { httpStatus: 503 } } },
          { fault: { abort: { httpStatus: 500 } } },
        ],
      }),
    ]);
    for (let i = 0; i < 2000; i++) {
      assert.equal(envoy.request([[':path', '/a']]).replies.length, 0);
      assert.equal(envoy.request([[':path', '/b']]).replies.length, 1);
    }
  });

  it('ends a rule at its absolute time, to the millisecond, also for a VM that came later', () => {
    const envoy = new Envoy();
    const policy = made('p', { rules: [{ fault: { duration_seconds: 10, abort: { httpStatus: 503 } } }] });
    const applied = Math.round(envoy.now) - 4000;
    envoy.serve([policy], applied);
    const end = applied + 10_000;
    envoy.process.advance(end - envoy.now - 1);
    assert.equal(envoy.request().replies.length, 1);
    const late = envoy.addVm();
    assert.equal(envoy.request([], late).replies.length, 1);
    envoy.process.advance(1.1);
    assert.equal(envoy.request().replies.length, 0);
    assert.equal(envoy.request([], late).replies.length, 0);
  });

  it('an ended rule leaves the decision to the next', () => {
    const envoy = new Envoy();
    envoy.serve([
      made('a', { rules: [{ fault: { duration_seconds: 1, abort: { httpStatus: 500 } } }] }),
      made('b', { rules: [{ fault: { abort: { httpStatus: 502 } } }] }),
    ]);
    assert.equal(envoy.request().replies[0]?.status, 500);
    envoy.process.advance(1100);
    assert.equal(envoy.request().replies[0]?.status, 502);
  });

  it('goes by the direction of the root, and by the listener where the configuration does not say it', () => {
    const envoy = new Envoy();
    const { vm } = envoy;
    const outbound = vm.configure({ cluster: 'hfi-control-plane', direction: 'outbound' });
    const either = vm.configure({ cluster: 'hfi-control-plane' });
    envoy.serve([made('p', { direction: 'outbound', rules: [{ fault: { abort: { httpStatus: 503 } } }] })]);
    assert.equal(envoy.request().replies.length, 0);
    assert.equal(envoy.request([], vm, outbound).replies.length, 1);
    assert.equal(envoy.request([], vm, either).replies.length, 0, 'direction unknown');
    const direction = (value: number) => new Uint8Array([value, 0, 0, 0, 0, 0, 0, 0]);
    envoy.process.properties.set('xds\0listener_direction', direction(2));
    assert.equal(envoy.request([], vm, either).replies.length, 1);
    envoy.process.properties.set('xds\0listener_direction', direction(1));
    assert.equal(envoy.request([], vm, either).replies.length, 0);
  });
});

describe('filter: what a request costs', () => {
  const counted = (envoy: Envoy, headers: readonly (readonly [string, string])[] = []) => {
    envoy.vm.resetCounts();
    envoy.vm.end(envoy.request(headers));
    return Object.fromEntries(envoy.vm.counts);
  };

  it('no host call without rules for this proxy, in its direction', () => {
    const envoy = new Envoy();
    assert.deepEqual(counted(envoy), {});
    envoy.serve([]);
    assert.deepEqual(counted(envoy), {});
    envoy.serve([made('p', { direction: 'outbound', rules: [{ fault: { abort: { httpStatus: 503 } } }] })]);
    assert.deepEqual(counted(envoy), {});
  });

  it('no host call when the dice are lost', () => {
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { percentage: 0, abort: { httpStatus: 503 } } }] })]);
    assert.deepEqual(counted(envoy), {});
  });

  it('one header read when a rule could fire; the clock only when it would', () => {
    const envoy = new Envoy();
    envoy.serve([
      made('p', { rules: [{ match: { path: { exact: '/x' } }, fault: { duration_seconds: 60, abort: { httpStatus: 503 } } }] }),
    ]);
    assert.deepEqual(counted(envoy), { proxy_get_header_map_pairs: 1 });
    assert.deepEqual(counted(envoy, [[':path', '/x']]), {
      proxy_get_header_map_pairs: 1,
      proxy_set_property: 1,
      clock_time_get: 1,
      proxy_send_local_response: 1,
      proxy_increment_metric: 1,
    });
  });

  it('wakes once a second while nothing happens, also the VM whose poll is under way', () => {
    const envoy = new Envoy(3);
    envoy.serve([]);
    envoy.poll();
    envoy.process.advance(2000);
    for (const vm of envoy.roots.keys()) vm.resetCounts();
    envoy.process.advance(10_000);
    for (const vm of envoy.roots.keys()) {
      const ticks = vm.counts.get('proxy_set_tick_period_milliseconds') ?? 0;
      assert.ok(ticks >= 9 && ticks <= 11, `${ticks} ticks in 10 s`);
    }
  });

  it('stays under 1 MiB of memory with 1,000 rules, replaced many times', () => {
    const envoy = new Envoy();
    const rules = Array.from({ length: 1000 }, (_, i) => ({
      match: { path: { prefix: `/api/v1/item-${i}` }, headers: [{ name: `x-h${i % 20}`, exact: `v${i}` }] },
      fault: { abort: { httpStatus: 503 } },
    }));
    for (let i = 0; i < 20; i++) envoy.serve([made(`p${i}`, { rules })]);
    for (let i = 0; i < 1000; i++) envoy.vm.end(envoy.request([['x-h1', 'v1']]));
    assert.ok(envoy.vm.exports.memory.buffer.byteLength <= 1024 * 1024, `${envoy.vm.exports.memory.buffer.byteLength} bytes`);
  });
});
