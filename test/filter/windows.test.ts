import assert from 'node:assert/strict';
import type { Vm } from '../../filter/host/vm.ts';
import { Envoy, made } from './envoy.ts';

describe('filter: windows and ramps', () => {
  const at = (envoy: Envoy, ms: number): void => envoy.process.advance(ms - envoy.now);
  const isHit = (envoy: Envoy): boolean => envoy.request().replies.length === 1;

  it('a window begins and ends to the millisecond, by the clock of the control plane', () => {
    const envoy = new Envoy();
    const [start, end] = [Math.round(envoy.now) + 5000, Math.round(envoy.now) + 7000];
    const window = { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
    envoy.serve([made('p', { rules: [{ match: { window }, fault: { abort: { httpStatus: 503 } } }] })]);
    for (const [ms, wanted] of [
      [start - 1, false],
      [start, true],
      [end - 1, true],
      [end, false],
    ] as const) {
      at(envoy, ms);
      assert.equal(isHit(envoy), wanted, `${ms - start} ms after its start`);
    }
  });

  it('a request that is held when its window ends gets the fault it was held for', () => {
    const envoy = new Envoy();
    const end = Math.round(envoy.now) + 5000;
    const fault = { delay: { fixed_delay: '3s' }, abort: { httpStatus: 418 } };
    envoy.serve([made('p', { rules: [{ match: { window: { end: new Date(end).toISOString() } }, fault }] })]);
    at(envoy, end - 1000);
    const held = envoy.request();
    at(envoy, end + 1000);
    assert.equal(isHit(envoy), false);
    at(envoy, end + 3000);
    assert.deepEqual(
      held.replies.map(({ status }) => status),
      [418],
    );
  });

  it('of a window and a duration the earlier end counts', () => {
    const envoy = new Envoy();
    for (const [seconds, windowMs, last] of [
      [2, 4000, 1999],
      [4, 2000, 1999],
    ] as const) {
      const appliedAt = Math.round(envoy.now);
      const window = { end: new Date(appliedAt + windowMs).toISOString() };
      envoy.serve(
        [made('p', { rules: [{ match: { window }, fault: { duration_seconds: seconds, abort: { httpStatus: 503 } } }] })],
        appliedAt,
      );
      at(envoy, appliedAt + last);
      assert.equal(isHit(envoy), true);
      at(envoy, appliedAt + last + 2);
      assert.equal(isHit(envoy), false);
      at(envoy, appliedAt + 10_000);
    }
  });

  it('a ramp rises in a straight line from the apply on, in every worker alike', () => {
    const envoy = new Envoy(2);
    const appliedAt = Math.round(envoy.now) - 10_000;
    const percentage = { ramp: { from: 20, to: 80, over: '60s' } };
    envoy.serve([made('p', { rules: [{ fault: { percentage, sticky: { header: 'x-user' }, abort: { httpStatus: 503 } } }] })], appliedAt);
    const users = Array.from({ length: 2000 }, (_, i) => `user-${i}`);
    const hit = (vm: Vm): boolean[] => users.map((user) => envoy.request([['x-user', user]], vm).replies.length === 1);
    let before: readonly boolean[] = [];
    for (const [seconds, share] of [
      [10, 0.3],
      [30, 0.5],
      [50, 0.7],
      [60, 0.8],
      [300, 0.8],
    ] as const) {
      at(envoy, appliedAt + seconds * 1000);
      // The lease would end meanwhile.
      envoy.unchanged();
      const [first = [], second = []] = [...envoy.roots.keys()].map(hit);
      const hits = first.filter(Boolean).length;
      // Four standard deviations of a binomial of 2,000.
      assert.ok(Math.abs(hits / users.length - share) < 0.045, `${hits} after ${seconds} s`);
      assert.deepEqual(second, first);
      assert.ok(
        before.every((was, i) => !was || first[i] === true),
        'a ramp that rises takes no user away',
      );
      before = first;
    }
  });
});
