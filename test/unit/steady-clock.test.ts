import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SteadyClock } from '../../services/control-plane/steady-clock.ts';

const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 0, 1);

class Clocks {
  elapsedMs = 5;
  ahead = 0;
  readonly told: number[] = [];
  readonly steady = new SteadyClock({ now: () => START + Math.floor(this.elapsedMs) + this.ahead, elapsed: () => this.elapsedMs }, (ms) =>
    this.told.push(ms),
  );
}

describe('the clock of the control plane', () => {
  it('is the wall clock as long as that goes on', () => {
    const clocks = new Clocks();
    clocks.elapsedMs += 1234;
    assert.equal(clocks.steady.now(), START + 1239);
    assert.equal(clocks.steady.behind, 0);
  });

  it('tells the time to who takes its functions alone', () => {
    const { now, elapsed } = new Clocks().steady;
    assert.deepEqual([now(), elapsed()], [START + 5, 5]);
  });

  it('goes on by itself when the wall clock is set back, says so once, and again the next time', () => {
    const clocks = new Clocks();
    const before = clocks.steady.now();
    clocks.ahead = -HOUR_MS;
    clocks.elapsedMs += 1000;
    assert.equal(clocks.steady.now(), before + 1000);
    assert.equal(clocks.steady.now(), before + 1000);
    assert.equal(clocks.steady.behind, HOUR_MS);
    assert.deepEqual(clocks.told, [HOUR_MS]);
    clocks.ahead = 0;
    assert.equal(clocks.steady.now(), before + 1000);
    clocks.ahead = -HOUR_MS;
    clocks.steady.now();
    assert.deepEqual(clocks.told, [HOUR_MS, HOUR_MS]);
  });

  it('follows it ahead, and not back from there', () => {
    const clocks = new Clocks();
    clocks.ahead = HOUR_MS;
    assert.equal(clocks.steady.now(), START + 5 + HOUR_MS);
    clocks.ahead = 0;
    clocks.elapsedMs += 10;
    assert.equal(clocks.steady.now(), START + 15 + HOUR_MS);
  });

  it('never goes back, and is never behind, whatever becomes of the wall clock', () => {
    const step = fc.record({ passes: fc.double({ min: 0, max: 5000, noNaN: true }), jumps: fc.integer({ min: -HOUR_MS, max: HOUR_MS }) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const clocks = new Clocks();
        let last = clocks.steady.now();
        for (const { passes, jumps } of steps) {
          clocks.elapsedMs += passes;
          clocks.ahead += jumps;
          const now = clocks.steady.now();
          const wall = START + Math.floor(clocks.elapsedMs) + clocks.ahead;
          if (now < last || now < wall - 1) return false;
          last = now;
        }
        return true;
      }),
    );
  });
});
