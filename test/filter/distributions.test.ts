import assert from 'node:assert/strict';
import type { Stream } from '../../filter/host/abi.ts';
import { normalShare, quantilesOf, timedQuantiles } from '../../services/control-plane/ruleset/quantiles.ts';
import { delay as policyDelay } from '../../services/policy/delay.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, HEADERS, made } from './envoy.ts';

type Delay = NonNullable<PolicyInput['spec']['rules'][number]['fault']['delay']>;

const DRAWS = 20_000;
const BATCH = 1000;

/** How long each of many requests or answers was held, in milliseconds, rising. */
function held(delay: Delay): number[] {
  const envoy = new Envoy();
  envoy.serve([made('p', { rules: [{ fault: { delay } }] })]);
  const times: number[] = [];
  for (let drawn = 0; drawn < DRAWS; drawn += BATCH) {
    const begun = envoy.process.nowNs;
    let waiting = Array.from({ length: BATCH }, () => begin(envoy, delay.at === 'response'));
    while (waiting.length > 0) {
      const passed = Number(envoy.process.nowNs - begun) / 1e6;
      for (const { stream, atOnce } of waiting.filter(goes)) {
        times.push(atOnce ? 0 : passed);
        envoy.vm.end(stream);
      }
      waiting = waiting.filter((one) => !goes(one));
      // Only a timer lets one go.
      envoy.process.advance(envoy.process.untilTimer());
    }
    envoy.unchanged();
  }
  return times.sort((a, b) => a - b);
}

interface Held {
  readonly stream: Stream;
  readonly atOnce: boolean;
}

function begin(envoy: Envoy, atResponse: boolean): Held {
  const stream = envoy.vm.request(envoy.root, HEADERS);
  if (!atResponse) return { stream, atOnce: stream.action === 0 };
  assert.equal(stream.action, 0, 'the request itself is not held');
  return { stream, atOnce: envoy.vm.response(stream, [[':status', '200']], true) === 0 };
}

const goes = ({ stream, atOnce }: Held): boolean => atOnce || stream.continued > 0 || stream.continuedResponse > 0;

/** The share below which a normal distribution has `z`, by bisection. */
function normalQuantile(share: number): number {
  let [low, high] = [-8, 8];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

describe('filter: distributions of delays', function () {
  this.timeout(60_000);

  for (const [what, delay, expected] of [
    ['percentiles', { percentiles: { p50: '200ms', p90: '1s', p99: '5s' } }, { 50: 200, 90: 1000, 99: 5000 }],
    ['percentiles between the named ones', { percentiles: { p0: '100ms', p50: '200ms', p100: '400ms' } }, { 25: 150, 50: 200, 75: 300 }],
    [
      'percentiles at the response',
      { percentiles: { p50: '20ms', p90: '100ms', p99: '2s', 'p99.9': '4s' }, at: 'response' },
      { 50: 20, 90: 100, 99: 2000, 99.9: 4000 },
    ],
    [
      'many percentiles',
      { percentiles: { p1: '90ms', p25: '100ms', p75: '300ms', p95: '301ms', p100: '800ms' } },
      { 1: 90, 25: 100, 75: 300, 95: 301 },
    ],
    ['uniform, from nothing, at the response', { uniform: { min: '0ms', max: '500ms' }, at: 'response' }, { 10: 50, 50: 250, 90: 450 }],
    ['uniform with jitter', { uniform: { min: '200ms', max: '400ms' }, jitter: '100ms' }, { 12.5: 200, 50: 300, 87.5: 400 }],
    ['uniform', { uniform: { min: '100ms', max: '500ms' } }, { 10: 140, 50: 300, 90: 460 }],
    [
      'normal',
      { normal: { mean: '500ms', stddev: '100ms' } },
      Object.fromEntries([1, 10, 50, 90, 99].map((share) => [share, 500 + 100 * normalQuantile(share / 100)])),
    ],
    ['fixed with jitter', { fixed_delay: '300ms', jitter: '100ms' }, { 10: 220, 50: 300, 90: 380 }],
  ] as [string, Delay, Record<string, number>][]) {
    it(`${what}: within 3 % at each percentile of ${DRAWS} draws`, () => {
      const times = held(delay);
      assert.equal(times.length, DRAWS);
      for (const [share, ms] of Object.entries(expected)) {
        const measured = times[Math.round((Number(share) / 100) * DRAWS) - 1] ?? 0;
        assert.ok(Math.abs(measured - ms) <= 0.03 * ms, `p${share}: ${measured} ms, asked ${ms} ms`);
      }
    });
  }

  it('a normal distribution never holds for less than nothing: what it has of that passes at once', () => {
    const times = held({ normal: { mean: '10ms', stddev: '100ms' } });
    const atOnce = times.filter((ms) => ms === 0).length / DRAWS;
    assert.ok(Math.abs(atOnce - normalShare(-0.1)) < 0.02, `${atOnce}`);
  });

  it('a normal distribution reaches four deviations to either side, but never below nothing nor beyond an hour', () => {
    const ends = (mean: string, stddev: string): (number | undefined)[] => {
      const table = quantilesOf({ normal: { mean, stddev } }) ?? [];
      return [table[0]?.ms, table.at(-1)?.ms];
    };
    assert.deepEqual(ends('500ms', '100ms'), [100, 900]);
    assert.deepEqual(ends('500ms', '200ms'), [0, 1300]);
    assert.deepEqual(ends('59m', '1m'), [55 * 60_000, 3_600_000]);
    const times = held({ normal: { mean: '500ms', stddev: '100ms' } });
    const far = times.filter((ms) => ms > 800).length;
    // Of 20,000 the normal distribution has 27 there.
    assert.ok(far >= 5 && far <= 60, `${far} beyond three deviations`);
  });

  it('what is drawn is half a step of the timer shorter, but for the shortest and what has a share of its own', () => {
    const timed = (delay: Delay): (number | undefined)[] => timedQuantiles(quantilesOf(policyDelay.parse(delay)) ?? []).map(({ ms }) => ms);
    assert.deepEqual(timed({ percentiles: { p50: '20ms', p90: '100ms', p99: '2s' } }), [0, 19.5, 99.5, 2000, 2000]);
    assert.deepEqual(timed({ percentiles: { p0: '10ms', p50: '10ms', p51: '40ms', p100: '40ms' } }), [10, 10, 40, 40]);
    assert.deepEqual(timed({ uniform: { min: '100ms', max: '500ms' } }), [100, 499.5]);
    assert.deepEqual(timed({ fixed_delay: '20ms' }), [20]);
  });

  it('jitter never holds for less than nothing: what it has of that passes at once', () => {
    const times = held({ fixed_delay: '50ms', jitter: '100ms' });
    const atOnce = times.filter((ms) => ms === 0).length / DRAWS;
    assert.ok(Math.abs(atOnce - 0.25) < 0.02, `${atOnce}`);
    assert.ok((times.at(-1) ?? 0) <= 151);
  });

  it('uniform and percentiles have nothing shorter or longer than what is named', () => {
    for (const delay of [{ uniform: { min: '100ms', max: '500ms' } }, { percentiles: { p0: '100ms', p50: '200ms', p99: '500ms' } }]) {
      const times = held(delay);
      assert.ok((times[0] ?? 0) >= 100 && (times.at(-1) ?? 0) <= 501, `${times[0]} to ${times.at(-1)} ms`);
    }
  });

  it('the longest jitter is as even as any', function () {
    this.timeout(60_000);
    const envoy = new Envoy();
    envoy.serve([made('p', { rules: [{ fault: { delay: { fixed_delay: '1h', jitter: '1h' } } }] })]);
    const streams = Array.from({ length: BATCH }, () => envoy.request());
    for (const share of [0.25, 0.5, 0.75]) {
      envoy.process.advance(1_800_000);
      const gone = streams.filter(({ action, continued }) => action === 0 || continued > 0).length / BATCH;
      // The 99.9 % interval of a binomial distribution, by its normal approximation (z = 3.29).
      assert.ok(Math.abs(gone - share) < 3.29 * Math.sqrt((share * (1 - share)) / BATCH), `${gone} by then, not ${share}`);
    }
  });

  for (const [what, way, least, most] of [
    ['latency alone', { latency: '100ms' }, 100, 100],
    ['latency with jitter', { latency: '100ms', jitter: '50ms' }, 50, 150],
    ['latency with more jitter than that', { latency: '50ms', jitter: '100ms' }, 0, 150],
  ] as const) {
    it(`pieces of a body, ${what}: each for itself, from ${least} to ${most} ms`, () => {
      const envoy = new Envoy();
      envoy.serve([made('p', { rules: [{ fault: { response: way } }] })]);
      const stream = envoy.request();
      envoy.vm.response(stream, [[':status', '200']], false);
      const times = Array.from({ length: 1000 }, () => {
        const [begun, before] = [envoy.process.nowNs, stream.continuedResponse];
        if (envoy.vm.responseBody(stream, new Uint8Array(10), false) === 0) return 0;
        while (stream.continuedResponse === before) envoy.process.advance(1);
        return Number(envoy.process.nowNs - begun) / 1e6;
      }).sort((a, b) => a - b);
      const [shortest = 0, longest = 0] = [times[0], times.at(-1)];
      assert.ok(shortest >= least && shortest <= least + 2, `${shortest} ms`);
      assert.ok(longest <= most + 2 && longest >= most - 3, `${longest} ms`);
      const middle = times[500] ?? 0;
      assert.ok(Math.abs(middle - Number.parseInt(way.latency, 10)) < 8, `${middle} ms`);
    });
  }
});
