import assert from 'node:assert/strict';
import type { Vm } from '../../filter/host/vm.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, HIT, made, PASSED } from './envoy.ts';
import { keyOf, ReportReader, type Told } from './report-reader.ts';

const abort = { abort: { httpStatus: 503 } };

/** One Envoy with one policy, and what is counted of its rules. */
class Counted {
  readonly envoy: Envoy;
  readonly reader: ReportReader;
  readonly appliedAt: number;

  constructor(spec: PolicyInput['spec'], configuration: object = {}) {
    this.envoy = new Envoy(1, configuration);
    this.reader = new ReportReader(this.envoy);
    this.appliedAt = Math.round(this.envoy.now);
    this.envoy.serve([made('p', spec)], this.appliedAt);
    this.envoy.process.advance(1);
  }

  get vm(): Vm {
    return this.envoy.vm;
  }

  send(times: number, headers: readonly (readonly [string, string])[] = []): void {
    for (let i = 0; i < times; i++) this.vm.end(this.envoy.request(headers));
  }

  of(rule: number): Told {
    this.reader.during(2100);
    return this.reader.of(keyOf('p', rule, this.appliedAt));
  }
}

describe('filter: what is counted of a rule', () => {
  it('lost dice, of a rule that was asked', () => {
    const counted = new Counted({ rules: [{ fault: { ...abort, percentage: 30, sticky: { header: 'x-user' } } }] });
    for (let i = 0; i < 1000; i++) counted.send(1, [['x-user', `u${i}`]]);
    const { injected = 0, dice = 0, ...rest } = counted.of(0);
    assert.equal(injected + dice, 1000);
    assert.ok(injected > 200 && injected < 400);
    assert.deepEqual(rest, { abort: injected });
  });

  it('turns, and what is done by the rule behind', () => {
    const counted = new Counted({ rules: [{ match: { after: 2, every: 3 }, fault: abort }, { fault: abort }] });
    counted.send(11);
    assert.deepEqual(counted.of(0), { injected: 3, abort: 3, turn: 8 });
    assert.deepEqual(counted.of(1), { injected: 8, abort: 8 });
  });

  it('a reached limit', () => {
    const counted = new Counted({ rules: [{ match: { limit: 4 }, fault: abort }] });
    counted.send(10);
    assert.deepEqual(counted.of(0), { injected: 4, abort: 4, limit: 6 });
  });

  it('a limit for the fleet, which each proxy keeps too', () => {
    const counted = new Counted({ rules: [{ match: { limit: { fleet: 4 } }, fault: abort }] });
    counted.send(10);
    assert.deepEqual(counted.of(0), { injected: 4, abort: 4, limit: 6 });
  });

  it('a window that is not open yet, and a rule that has ended, only of requests that come by there', () => {
    const start = Date.UTC(2026, 0, 1, 0, 1);
    const counted = new Counted({
      rules: [
        { match: { window: { start: new Date(start).toISOString() }, path: { prefix: '/a' } }, fault: abort },
        { match: { path: { prefix: '/' } }, fault: { ...abort, duration_seconds: 5 } },
        { match: { window: { start: new Date(start).toISOString() } }, fault: abort },
      ],
    });
    counted.send(3, [[':path', '/a']]);
    counted.send(2, [[':path', '/b']]);
    // The second rule decides, so the third is never asked.
    assert.deepEqual([counted.of(0), counted.of(1), counted.of(2)], [{ window: 3 }, { injected: 5, abort: 5 }, {}]);
    counted.envoy.process.advance(5000);
    counted.send(1, [[':path', '/b']]);
    counted.send(1, [['user-agent', 'kube-probe/1.31']]);
    assert.deepEqual([counted.of(0), counted.of(1), counted.of(2)], [{ window: 3 }, { injected: 5, abort: 5, window: 1 }, { window: 1 }]);
  });

  it('shadow', () => {
    const counted = new Counted({ mode: 'shadow', rules: [{ fault: abort }] });
    counted.send(7);
    assert.deepEqual(counted.of(0), { shadow: 7 });
  });

  it('an ended lease', () => {
    const counted = new Counted({ rules: [{ fault: abort }] }, { leaseMs: 1000 });
    counted.send(2);
    counted.reader.during(3000);
    counted.send(3);
    assert.deepEqual(counted.of(0), { injected: 2, abort: 2, lease: 3 });
  });

  it('no room to hold a request', () => {
    const counted = new Counted({ rules: [{ fault: { delay: { fixed_delay: '1s' } } }] }, { maxDelayedRequests: 3 });
    for (let i = 0; i < 5; i++) counted.envoy.request();
    assert.deepEqual(counted.of(0), { injected: 3, delay: 3, overflow: 2 });
  });

  it('an answer of another status than the rule is about, unless something was done to the request before', () => {
    const about = { response: { status: 418 }, ifStatus: 404 };
    const counted = new Counted({
      rules: [
        { match: { path: { exact: '/early' } }, fault: { ...about, request: { headers: { set: { 'x-a': 'b' } } } } },
        { fault: about },
      ],
    });
    for (const [path, status] of [
      ['/late', '200'],
      ['/late', '404'],
      ['/late', '503'],
      ['/early', '200'],
    ] as const) {
      const stream = counted.envoy.request([[':path', path]]);
      counted.vm.response(stream, [[':status', status]], true);
      counted.vm.end(stream);
    }
    assert.deepEqual(counted.of(1), { injected: 1, response: 1, status: 2 });
    assert.deepEqual(counted.of(0), { injected: 1, request: 1 });
  });

  it('kinds, when they are done: what a client that left had missed is not counted', () => {
    const counted = new Counted({ rules: [{ fault: { ...abort, delay: { fixed_delay: '1s' } } }] });
    const streams = Array.from({ length: 5 }, () => counted.envoy.request());
    for (const stream of streams.slice(0, 2)) counted.vm.end(stream);
    assert.deepEqual(counted.of(0), { injected: 5, delay: 5, abort: 3 });
    assert.equal(counted.envoy.metric('faults_aborts_total'), 3);
  });

  it('kinds done to the response, and to a request', () => {
    const counted = new Counted({
      rules: [
        { match: { path: { exact: '/late' } }, fault: { abort: { httpStatus: 500, at: 'response' } } },
        { match: { path: { exact: '/reset' } }, fault: { abort: { reset: true } } },
        { fault: { request: { headers: { set: { 'x-a': 'b' } } }, response: { status: 418 } } },
      ],
    });
    for (const path of ['/late', '/reset', '/other', '/other']) {
      const stream = counted.envoy.request([[':path', path]]);
      if (stream.action === PASSED) counted.vm.response(stream, [[':status', '200']], true);
      counted.vm.end(stream);
    }
    assert.deepEqual(
      [counted.of(0), counted.of(1), counted.of(2)],
      [
        { injected: 1, abort: 1 },
        { injected: 1, reset: 1 },
        { injected: 2, request: 2, response: 2 },
      ],
    );
  });

  it('what is done after the rule is out of force, for that rule', () => {
    const counted = new Counted({ rules: [{ fault: { ...abort, delay: { fixed_delay: '30s' } } }] });
    const { envoy, reader } = counted;
    assert.notEqual(envoy.request().action, PASSED);
    reader.during(20_000);
    assert.notEqual(envoy.request().action, PASSED);
    reader.during(11_000);
    // The first one is done. So many other rules before the second is that old records are let go.
    for (let i = 0; i < 150; i++) {
      envoy.serve([made(`q${i}`, { rules: [{ fault: abort }] })]);
      envoy.process.advance(1);
      assert.equal(envoy.request().action, HIT);
      reader.during(90);
    }
    assert.deepEqual(counted.of(0), { injected: 2, delay: 2, abort: 1 });
    reader.during(10_000);
    assert.deepEqual(counted.of(0), { injected: 2, delay: 2, abort: 2 });
  });
});
