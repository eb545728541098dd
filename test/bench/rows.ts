import { type Interval, median, medianInterval, quantile } from './statistics.ts';

export type Verdict = true | false | 'undecided';

/** One line of the result; `value` and `peerValue` are in `unit`. Rows without a bar of their own have `bar: null` and always hold. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** The interval of the value, or the smallest and largest measured, as docs/performance.md says for the row. */
  readonly min: number;
  readonly max: number;
  readonly peer: string | null;
  readonly peerValue: number | null;
  /** value / peerValue. */
  readonly ratio: number | null;
  readonly bar: string | null;
  readonly holds: Verdict;
}

/** What is measured beside the row, and what it must not exceed. */
export interface Bar {
  readonly peer?: string;
  readonly peerValue?: number;
  readonly bar?: string;
  readonly holds?: Verdict;
}

/** @param all the measured values that `value` stands for; their extremes are the row's, unless `range` says otherwise */
export function row(name: string, unit: string, value: number, range: Interval, { peer, peerValue, bar, holds = true }: Bar = {}): Row {
  return {
    name,
    unit,
    value,
    min: range.low,
    max: range.high,
    peer: peer ?? null,
    peerValue: peerValue ?? null,
    ratio: peerValue ? value / peerValue : null,
    bar: bar ?? null,
    holds,
  };
}

export function extremes(values: readonly number[]): Interval {
  return { low: quantile(values, 0), high: quantile(values, 1) };
}

/**
 * Whether a measured value with its interval is at most `limit`. An interval on one side of the limit decides; one that holds the limit
 * leaves it to the value, unless it is wider than the limit itself.
 */
export function atMost(value: number, interval: Interval, limit: number): Verdict {
  if (interval.high <= limit) return true;
  if (interval.low > limit) return false;
  return interval.high - interval.low > limit ? 'undecided' : value <= limit;
}

/**
 * Compares two variants measured in the same rounds: the median of the differences within the rounds with its 95 % interval.
 */
export function difference(values: readonly number[], base: readonly number[]): Difference {
  const differences = values.map((value, i) => value - (base[i] ?? Number.NaN));
  return { value: median(differences), interval: medianInterval(differences) };
}

export interface Difference {
  readonly value: number;
  readonly interval: Interval;
}

/**
 * The same for variants whose processes were started several times: rounds of one launch share whatever is peculiar to it, so the launches are
 * what is counted. The median of their medians, with its 95 % interval; of a single launch, that of its rounds.
 */
export function differenceOfLaunches(values: readonly (readonly number[])[], base: readonly (readonly number[])[]): Difference {
  const [only] = values;
  if (values.length === 1 && only !== undefined) return difference(only, base[0] ?? []);
  const medians = values.map((launch, i) => difference(launch, base[i] ?? []).value);
  return { value: median(medians), interval: medianInterval(medians) };
}

/** The rows as a table for people. */
export function table(rows: readonly Row[]): string {
  const lines = [
    ['row', 'value', 'from', 'to', 'unit', 'beside', 'its value', 'ratio', 'bar', 'holds'],
    ...rows.map((one) => [
      one.name,
      figure(one.value),
      figure(one.min),
      figure(one.max),
      one.unit,
      one.peer ?? '',
      one.peerValue === null ? '' : figure(one.peerValue),
      one.ratio === null ? '' : figure(one.ratio),
      one.bar ?? '',
      one.bar === null ? '' : one.holds === true ? 'yes' : one.holds === false ? 'NO' : 'undecided',
    ]),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => (/^-?[\d.]+$/.test(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function figure(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}
