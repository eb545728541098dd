import { z } from '@hono/zod-openapi';
import { allPlus, COUNTERS, larger, type Tallies, type Tally } from './tally.ts';

/**
 * What one proxy counted of one run of a policy. Each of its processes (an epoch) counts from 0, so within an epoch the larger value is the
 * newer one, whoever heard it and in whatever order; and the epochs together are what the proxy did.
 */
export interface ProxyCounts {
  /** By epoch, in the order in which they were first heard of. */
  readonly epochs: Map<string, Map<number, Tally>>;
  /** Processes that ended long ago, as one sum. */
  folded: Folded;
}

export interface Folded {
  /** How many. Two states are of one history, so the one in which more are folded is the newer. */
  readonly count: number;
  /** The last of them, so that what comes late from one is not taken for a new one. */
  readonly epochs: readonly string[];
  readonly tallies: Tallies;
}

/** A proxy keeps so many processes apart. More are folded when its counts are written. */
export const KEPT_EPOCHS = 8;
/** What claims to be of one more process than this is not believed until some are folded. */
const MOST_EPOCHS = 16;
const FOLDED_NAMES = 64;

export function noCounts(): ProxyCounts {
  return { epochs: new Map(), folded: { count: 0, epochs: [], tallies: new Map() } };
}

/** Takes what a report says of one rule. @returns the rule's tally in this epoch before, or undefined when the epoch is not taken */
export function hear(counts: ProxyCounts, epoch: string, rule: number, heard: Tally): { before: Tally; after: Tally } | undefined {
  if (counts.folded.epochs.includes(epoch)) return undefined;
  const known = counts.epochs.get(epoch);
  if (known === undefined && counts.epochs.size >= MOST_EPOCHS) return undefined;
  const tallies = known ?? new Map<number, Tally>();
  if (known === undefined) counts.epochs.set(epoch, tallies);
  const before = tallies.get(rule) ?? {};
  const after = larger(before, heard);
  if (after !== before) tallies.set(rule, after);
  return { before, after };
}

/** Takes another state of the same proxy in: of each counter the larger value. */
export function merge(counts: ProxyCounts, other: ProxyCounts): void {
  if (other.folded.count > counts.folded.count) counts.folded = other.folded;
  for (const epoch of counts.folded.epochs) counts.epochs.delete(epoch);
  for (const [epoch, tallies] of other.epochs) {
    if (counts.folded.epochs.includes(epoch)) continue;
    const known = counts.epochs.get(epoch);
    if (known === undefined) counts.epochs.set(epoch, new Map(tallies));
    else for (const [rule, tally] of tallies) known.set(rule, larger(known.get(rule) ?? {}, tally));
  }
}

/** The same with the oldest epochs folded that are more than are kept apart. */
export function folded(counts: ProxyCounts): ProxyCounts {
  const old = [...counts.epochs].slice(0, Math.max(0, counts.epochs.size - KEPT_EPOCHS));
  if (old.length === 0) return counts;
  return {
    epochs: new Map([...counts.epochs].slice(old.length)),
    folded: {
      count: counts.folded.count + old.length,
      epochs: [...counts.folded.epochs, ...old.map(([epoch]) => epoch)].slice(-FOLDED_NAMES),
      tallies: allPlus(counts.folded.tallies, ...old.map(([, tallies]) => tallies)),
    },
  };
}

/** By rule, over all epochs. */
export function total({ epochs, folded: { tallies } }: ProxyCounts): Map<number, Tally> {
  return allPlus(tallies, ...epochs.values());
}

/** The epoch of what is left of proxies that are gone. */
const EPOCH_OF_GONE = 'gone';

/** What proxies that are gone did, put together as if it had been one process of one proxy. */
export function putTogether(all: readonly ProxyCounts[]): ProxyCounts {
  return { ...noCounts(), epochs: new Map([[EPOCH_OF_GONE, allPlus(...all.map(total))]]) };
}

const tallies = z.record(z.string().regex(/^\d{1,5}$/), z.partialRecord(z.enum(COUNTERS), z.int().min(0)));

/** How it is kept in etcd, and told to other replicas. */
export const countsValue = z.object({
  epochs: z.record(z.string(), tallies),
  folded: z.object({ count: z.int(), epochs: z.array(z.string()), tallies }).optional(),
});

export type CountsValue = z.output<typeof countsValue>;

export function asValue({ epochs, folded: { count, epochs: names, tallies: sums } }: ProxyCounts): CountsValue {
  return {
    epochs: Object.fromEntries([...epochs].map(([epoch, rules]) => [epoch, Object.fromEntries(rules)])),
    ...(count === 0 ? {} : { folded: { count, epochs: [...names], tallies: Object.fromEntries(sums) } }),
  };
}

export function fromValue({ epochs, folded: sums }: CountsValue): ProxyCounts {
  const read = (rules: Readonly<Record<string, Tally>>): Map<number, Tally> =>
    new Map(Object.entries(rules).map(([rule, tally]) => [Number(rule), tally]));
  return {
    epochs: new Map(Object.entries(epochs).map(([epoch, rules]) => [epoch, read(rules)])),
    folded: sums === undefined ? noCounts().folded : { count: sums.count, epochs: sums.epochs, tallies: read(sums.tallies) },
  };
}
