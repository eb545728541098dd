/** What proxies count of a rule, as their reports name it (`filter/assembly/tally-layout.ts`, with which a test compares it). */
export const KINDS = ['abort', 'delay', 'reset', 'request', 'response'] as const;
export const REASONS = ['dice', 'turn', 'limit', 'window', 'shadow', 'overflow', 'lease', 'halt', 'status', 'budget'] as const;
export const COUNTERS = ['injected', ...KINDS, ...REASONS] as const;

export type Counter = (typeof COUNTERS)[number];

/** The counters of one rule that aren't 0. */
export type Tally = { readonly [counter in Counter]?: number };

/** The tallies of a policy's rules, by the rules' indexes. */
export type Tallies = ReadonlyMap<number, Tally>;

/** The counters that are given and aren't 0. */
export function tallyOf(values: { readonly [counter in Counter]?: number | undefined }): Tally {
  const result: { [counter in Counter]?: number } = {};
  for (const counter of COUNTERS) {
    const value = values[counter] ?? 0;
    if (value !== 0) result[counter] = value;
  }
  return result;
}

/** Each counter's larger value. @returns `known` itself when nothing in `heard` is larger */
export function larger(known: Tally, heard: Tally): Tally {
  let result: { [counter in Counter]?: number } | undefined;
  for (const counter of COUNTERS) {
    const value = heard[counter] ?? 0;
    if (value <= (known[counter] ?? 0)) continue;
    result ??= { ...known };
    result[counter] = value;
  }
  return result ?? known;
}

/** Whether a counter of `heard` is smaller than what is known of it: counters only grow. */
export function isOlder(known: Tally, heard: Tally): boolean {
  return COUNTERS.some((counter) => (heard[counter] ?? 0) < (known[counter] ?? 0));
}

export function plus(a: Tally, b: Tally): Tally {
  const result: { [counter in Counter]?: number } = { ...a };
  for (const counter of COUNTERS) {
    const value = b[counter];
    if (value !== undefined) result[counter] = (result[counter] ?? 0) + value;
  }
  return result;
}

export function minus(a: Tally, b: Tally): Tally {
  const result: { [counter in Counter]?: number } = { ...a };
  for (const counter of COUNTERS) {
    const value = b[counter];
    if (value !== undefined) result[counter] = (result[counter] ?? 0) - value;
  }
  return result;
}

export function allPlus(...all: readonly Tallies[]): Map<number, Tally> {
  const result = new Map<number, Tally>();
  for (const tallies of all) for (const [rule, tally] of tallies) result.set(rule, plus(result.get(rule) ?? {}, tally));
  return result;
}

/** All rules together. */
export function summed(tallies: Tallies): Tally {
  let result: Tally = {};
  for (const tally of tallies.values()) result = plus(result, tally);
  return result;
}

/** How many requests the rule's match fitted: each ended as injected or as skipped for one reason. */
export function matched(tally: Tally): number {
  return REASONS.reduce((sum, reason) => sum + (tally[reason] ?? 0), tally.injected ?? 0);
}

/** Requests that were hit, or would have been if the policy weren't in shadow. */
export function hits(tally: Tally): number {
  return (tally.injected ?? 0) + (tally.shadow ?? 0);
}
