import { fleetLimit } from '../../policy/match.ts';
import { stopsAfter } from '../../policy/stop-when.ts';
import { runKey } from '../ruleset/rule-key.ts';
import type { StoredPolicy } from '../store/store.ts';
import { merge, noCounts, type ProxyCounts, total } from './proxy-counts.ts';
import { allPlus, hits, minus, plus, summed, type Tallies, type Tally } from './tally.ts';

/** Rates are over the last so many milliseconds. */
export const RATE_MS = 10_000;

/** The proxy without a name is the sum of those that are gone. */
export const GONE = '';

/** What is known of one proxy in one run. */
export interface Known {
  readonly counts: ProxyCounts;
  /** `elapsed` of the last report that said something new, or of when it was read from etcd. */
  heardAt: number;
  /** What of it is known to be in etcd: the key's mod revision, 0 for none, and the sum of its tallies. */
  kept: { readonly revision: number; readonly sum: Tally };
  /** Hits at moments of `elapsed`, rising; the first may be older than a rate looks back. */
  samples: { readonly at: number; readonly hits: number }[];
  /** All that it hit. */
  hits: number;
}

/** What of a policy a run needs also when it is over: late reports are judged by it. The policy itself may be large. */
export interface About {
  readonly selector: StoredPolicy['policy']['spec']['selector'];
  /** The only proxies that it was for, where guardrails chose them. */
  readonly chosen: ReadonlySet<string> | undefined;
  /** By rule, the limit for the fleet. */
  readonly limits: readonly (number | undefined)[];
  /** After how many hits of all rules together it stops. */
  readonly stopsAfter: number | undefined;
}

/** One apply of a policy and what became of it, by proxy and rule. */
export class Run {
  readonly policy: string;
  /** Milliseconds since the epoch. */
  readonly appliedAt: number;
  /** The key of its first rule. */
  readonly firstKey: bigint;
  /** The policy while this is its run in force. */
  stored: StoredPolicy | undefined;
  /** Undefined for a run of which only the counts are known: its policy was not heard of. */
  about: About | undefined;
  /** `elapsed` since when it isn't in force any more, or not known to be; without meaning while it is. */
  goneSince = 0;
  /** It was told that this one stops. */
  stopTold = false;
  readonly proxies = new Map<string, Known>();
  /** Rules whose fleet-wide limit is reached. */
  readonly spent = new Set<number>();
  /** By rule, over all proxies. */
  #totals: Map<number, Tally> = new Map();
  #hits = 0;

  constructor(policy: string, appliedAt: number) {
    this.policy = policy;
    this.appliedAt = appliedAt;
    this.firstKey = runKey(policy, appliedAt);
  }

  /** Makes it the run in force of a policy. */
  begin(stored: StoredPolicy): void {
    this.stored = stored;
    this.stopTold = false;
    const { selector, rules, stopWhen } = stored.policy.spec;
    this.about = {
      selector: { ...selector },
      chosen: stored.chosen && new Set(stored.chosen),
      limits: rules.map(({ match }) => fleetLimit(match)),
      stopsAfter: stopsAfter(stopWhen),
    };
  }

  get totals(): Tallies {
    return this.#totals;
  }

  /** What is known of a proxy, from now on something. */
  known(proxy: string, now: number): Known {
    const found = this.proxies.get(proxy);
    if (found !== undefined) return found;
    const known: Known = { counts: noCounts(), heardAt: now, kept: { revision: 0, sum: {} }, samples: [], hits: 0 };
    this.proxies.set(proxy, known);
    return known;
  }

  /** Notes that a tally of a proxy grew. @param now `elapsed` */
  grew(known: Known, rule: number, before: Tally, after: Tally, now: number): void {
    known.heardAt = now;
    const growth = minus(after, before);
    this.#totals.set(rule, plus(this.#totals.get(rule) ?? {}, growth));
    this.#hits += hits(growth);
    if (hits(growth) > 0) sample(known, hits(growth), now);
  }

  /** Takes another state of a proxy in. */
  take(known: Known, other: ProxyCounts, now: number): void {
    const before = total(known.counts);
    merge(known.counts, other);
    this.#replace(before, total(known.counts));
    const growth = hits(summed(total(known.counts))) - known.hits;
    if (growth > 0) sample(known, growth, now);
  }

  forget(proxy: string): void {
    const known = this.proxies.get(proxy);
    if (known === undefined) return;
    this.#replace(total(known.counts), new Map());
    this.proxies.delete(proxy);
  }

  /** Hits of all rules together, in the fleet. */
  get hits(): number {
    return this.#hits;
  }

  /** Whether it has hit as many as it stops after. */
  get stops(): boolean {
    const limit = this.about?.stopsAfter;
    return limit !== undefined && this.hits >= limit;
  }

  /** Looks which limits are reached. @returns whether one more is */
  spend(): boolean {
    const before = this.spent.size;
    const stops = this.stops;
    this.about?.limits.forEach((limit, i) => {
      if (stops || (limit !== undefined && hits(this.#totals.get(i) ?? {}) >= limit)) this.spent.add(i);
    });
    return this.spent.size > before;
  }

  #replace(before: Tallies, after: Tallies): void {
    for (const [rule, tally] of allPlus(after)) this.#totals.set(rule, plus(this.#totals.get(rule) ?? {}, tally));
    this.#hits += hits(summed(after)) - hits(summed(before));
    for (const [rule, tally] of before) this.#totals.set(rule, minus(this.#totals.get(rule) ?? {}, tally));
  }
}

function sample(known: Known, growth: number, now: number): void {
  if (known.samples.length === 0) known.samples.push({ at: Number.NEGATIVE_INFINITY, hits: known.hits });
  known.hits += growth;
  known.samples.push({ at: now, hits: known.hits });
  // The first stays that is old enough to tell how it was.
  const old = known.samples.findLastIndex(({ at }) => at <= now - RATE_MS);
  if (old > 0) known.samples.splice(0, old);
}

/** A proxy's hits as they were so long ago that a rate begins there. */
export function hitsBefore({ samples, hits: all }: Known, now: number): number {
  const first = samples.findLast(({ at }) => at <= now - RATE_MS) ?? samples[0];
  return first?.hits ?? all;
}
