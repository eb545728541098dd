import { type Delay, percentilePoints } from '../../policy/delay.ts';
import { parseDuration } from '../../policy/duration.ts';
import { LIMITS } from '../../policy/limits.ts';

/** A share of all delays, 0 to 1, and the length in milliseconds that so many are no longer than. */
export interface Quantile {
  readonly share: number;
  readonly ms: number;
}

/** Lengths between two quantiles are equally likely, so a normal distribution needs many. */
const NORMAL_STEPS = 96;
/** As far as a normal distribution's tails are followed, in standard deviations. */
const NORMAL_REACH = 4;

const ms = (text: string): number => parseDuration(text) ?? 0;

/** A delay's distribution as a table of quantiles; undefined for one that isn't drawn. */
export function quantilesOf(delay: Delay): Quantile[] | undefined {
  if (delay.fixed_delay_ms !== undefined) return always(delay.fixed_delay_ms);
  if (delay.fixed_delay !== undefined) return always(ms(delay.fixed_delay));
  if (delay.uniform !== undefined) {
    return [
      { share: 0, ms: ms(delay.uniform.min) },
      { share: 1, ms: ms(delay.uniform.max) },
    ];
  }
  if (delay.normal !== undefined) return normal(ms(delay.normal.mean), ms(delay.normal.stddev));
  if (delay.percentiles !== undefined) return percentiles(delay.percentiles);
  return undefined;
}

/** Half a step of the filter's timer, in milliseconds. */
const HALF_STEP_MS = 0.5;

/**
 * A table as the filter takes it, whose timer counts whole milliseconds and is never early, so that a drawn length comes out half a
 * millisecond longer on average: it is drawn that much shorter. What is the shortest of all, or the length of a share of its own, stays.
 */
export function timedQuantiles(table: readonly Quantile[]): Quantile[] {
  const least = table[0]?.ms ?? 0;
  return table.map(({ share, ms: own }, i) => {
    const stays = table[i - 1]?.ms === own || table[i + 1]?.ms === own;
    return { share, ms: stays ? own : Math.max(least, own - HALF_STEP_MS) };
  });
}

function always(length: number): Quantile[] {
  return [{ share: 0, ms: length }];
}

function percentiles(given: Readonly<Record<string, string>>): Quantile[] {
  const points = percentilePoints(given).map(({ share, ms: length }) => ({ share, ms: length }));
  const first = points[0]?.share === 0 ? [] : [{ share: 0, ms: 0 }];
  const last = points.at(-1);
  return [...first, ...points, ...(last === undefined || last.share === 1 ? [] : [{ share: 1, ms: last.ms }])];
}

function normal(mean: number, stddev: number): Quantile[] {
  const steps = Array.from({ length: NORMAL_STEPS + 1 }, (_, i) => NORMAL_REACH * ((2 * i) / NORMAL_STEPS - 1));
  // Where it would be less than nothing, so that just so many are nothing.
  const zero = stddev === 0 ? Number.NEGATIVE_INFINITY : -mean / stddev;
  const points = zero > -NORMAL_REACH && !steps.includes(zero) ? [...steps, zero].sort((a, b) => a - b) : steps;
  return points.map((z, i) => ({
    share: i === 0 ? 0 : i === points.length - 1 ? 1 : normalShare(z),
    ms: Math.min(Math.max(mean + z * stddev, 0), LIMITS.delayMs),
  }));
}

/**
 * The share of a standard normal distribution below `z`, to 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
 */
export function normalShare(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const erf = 1 - series * Math.exp(-x * x);
  return z < 0 ? (1 - erf) / 2 : (1 + erf) / 2;
}
