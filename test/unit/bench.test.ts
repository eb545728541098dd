import assert from 'node:assert/strict';
import { atMost, difference, row, table } from '../bench/rows.ts';
import { rulesetOf, rulesThatMiss } from '../bench/rulesets.ts';
import { binomialInterval, median, medianInterval, quantile } from '../bench/statistics.ts';

describe('bench statistics', () => {
  it('interpolates quantiles as type 7 does', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
    assert.equal(quantile([0, 10], 0.99), 9.9);
    assert.throws(() => median([]), RangeError);
  });

  // The ranks of the sign test's interval at 95 %: tables up to 20, n/2 -/+ 0.98 sqrt(n) for 61.
  for (const [n, low, high] of [
    [6, 1, 6],
    [10, 2, 9],
    [20, 6, 15],
    [61, 23, 39],
  ] as const) {
    it(`takes the ranks ${low} and ${high} of ${n} for the median's interval`, () => {
      const values = Array.from({ length: n }, (_, i) => i + 1).reverse();
      assert.deepEqual(medianInterval(values), { low, high });
    });
  }

  it('gives everything when there are too few values for 95 %', () => {
    assert.deepEqual(medianInterval([5, 1, 3]), { low: 1, high: 5 });
  });

  it('leaves at most the tails outside of the binomial interval', () => {
    // By hand: of 10 fair coins P(<=1) = 11/1024 = 1.07 %, P(<=2) = 56/1024 = 5.5 %.
    assert.deepEqual(binomialInterval(10, 0.5, 0.95), { low: 2, high: 8 });
    const { low, high } = binomialInterval(20_000, 0.1, 0.999);
    // The normal approximation: 2000 -/+ 3.29 x 42.4.
    assert.ok(Math.abs(low - 1860.5) < 3 && Math.abs(high - 2139.5) < 3, `${low} to ${high}`);
  });
});

describe('bench rows', () => {
  it('compares within the rounds, so that what slows both down cancels out', () => {
    const base = [10, 100, 10, 1000, 10, 10];
    const { value, interval } = difference(
      base.map((one) => one + 2),
      base,
    );
    assert.equal(value, 2);
    assert.deepEqual(interval, { low: 2, high: 2 });
  });

  it('goes by the interval where it can, by the value where that is narrow, and else is undecided', () => {
    assert.equal(atMost(0.2, { low: -0.4, high: 0.4 }, 0.5), true);
    assert.equal(atMost(5.7, { low: 4.2, high: 7.2 }, 2), false);
    assert.equal(atMost(0.4, { low: 0.3, high: 0.6 }, 0.5), true);
    assert.equal(atMost(0.6, { low: 0.4, high: 0.7 }, 0.5), false);
    assert.equal(atMost(0.4, { low: 0.1, high: 0.9 }, 0.5), 'undecided');
    assert.equal(atMost(-3, { low: -4, high: -2 }, 0), true);
  });

  it('prints a row that fails so that it is seen', () => {
    const text = table([row('a', 'ms', 3, { low: 2, high: 4 }, { peer: 'b', peerValue: 2, bar: '<= 2', holds: false })]);
    assert.match(text, /1\.50\s+<= 2\s+NO$/);
  });

  it('makes rulesets that grow with their rules', () => {
    assert.ok(rulesetOf(rulesThatMiss(1000)).length > 20 * rulesetOf(rulesThatMiss(10)).length);
  });
});
