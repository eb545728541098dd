import assert from 'node:assert/strict';
import { simulate } from './world.ts';

/** Few enough for every test run; CI and the night run more (`npm run simulate -- --seeds N`). */
const SEEDS = 20;

describe('simulation', () => {
  it('the same seed gives the same trace, another one another', async () => {
    const traces = [];
    for (const seed of [7, 7, 8]) traces.push((await simulate(seed)).trace);
    assert.equal(traces[0], traces[1]);
    assert.notEqual(traces[0], traces[2]);
  });

  it(`nothing is violated in ${SEEDS} seeds, in which a lot happens`, async function () {
    this.timeout(60_000);
    let [injections, acknowledged] = [0, 0];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = await simulate(seed);
      assert.equal(result.violation, undefined, `${result.lines.slice(-40).join('\n')}\nnpm run simulate -- --seed ${seed}`);
      injections += result.injections;
      acknowledged += result.acknowledged;
    }
    assert.ok(injections > 50 * SEEDS && acknowledged > 10 * SEEDS, `${injections} injections, ${acknowledged} writes`);
  });
});
