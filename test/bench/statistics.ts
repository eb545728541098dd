/** The statistics of the benchmarks. Pure. */

/** The `share` quantile (0 to 1) of the values, interpolated between the neighbours (Hyndman and Fan 1996, type 7). */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * The distribution-free interval of the median: the order statistics k and n + 1 - k with the largest k for which the
 * binomial(n, 1/2) leaves at most `1 - confidence` outside (Conover, Practical Nonparametric Statistics, section 3.2). With
 * fewer than six values no pair covers 95 %; then it is everything.
 */
export function medianInterval(values: readonly number[], confidence = 0.95): Interval {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  let outside = 0;
  let rank = 0;
  // P(fewer than k values lie below the median), in each tail.
  for (let k = 0; k < Math.floor(n / 2); k++) {
    outside += Math.exp(logBinomial(n, k, 0.5));
    if (2 * outside > 1 - confidence) break;
    rank = k + 1;
  }
  const from = Math.max(rank, 1) - 1;
  return { low: sorted[from] ?? Number.NaN, high: sorted[n - 1 - from] ?? Number.NaN };
}

/**
 * The central interval of a binomial count: the smallest and largest count that are not in a tail of at most
 * `(1 - confidence) / 2` (exact sums of the distribution, no normal approximation).
 */
export function binomialInterval(trials: number, share: number, confidence: number): Interval {
  const tail = (1 - confidence) / 2;
  let low = 0;
  for (let below = 0; low < trials; low++) {
    below += Math.exp(logBinomial(trials, low, share));
    if (below > tail) break;
  }
  let high = trials;
  for (let above = 0; high > 0; high--) {
    above += Math.exp(logBinomial(trials, high, share));
    if (above > tail) break;
  }
  return { low, high };
}

/** The logarithm of the probability of `hits` among `trials`. */
function logBinomial(trials: number, hits: number, share: number): number {
  return (
    logFactorial(trials) - logFactorial(hits) - logFactorial(trials - hits) + hits * Math.log(share) + (trials - hits) * Math.log1p(-share)
  );
}

const factorials: number[] = [0];

function logFactorial(n: number): number {
  for (let i = factorials.length; i <= n; i++) factorials.push((factorials[i - 1] ?? 0) + Math.log(i));
  return factorials[n] ?? Number.NaN;
}
