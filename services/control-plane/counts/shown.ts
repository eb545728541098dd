import { policyEnd } from '../../policy/end.ts';
import { fleetLimit } from '../../policy/match.ts';
import type { StoredPolicy } from '../store/store.ts';
import { asValue, type CountsValue, fromValue, merge, noCounts, type ProxyCounts, total } from './proxy-counts.ts';
import { GONE, hitsBefore, RATE_MS, type Run } from './run.ts';
import { allPlus, hits, KINDS, matched, REASONS, summed, type Tally } from './tally.ts';

/** What one replica knows of one proxy in a run. */
export interface Part {
  readonly proxy: string;
  readonly counts: CountsValue;
  /** Its hits as they were ten seconds ago. */
  readonly before: number;
}

export interface ShownTally {
  readonly matched: number;
  readonly injected: number;
  readonly kinds: Readonly<Record<(typeof KINDS)[number], number>>;
  readonly skipped: Readonly<Record<(typeof REASONS)[number], number>>;
}

export interface ShownRun {
  readonly total: ShownTally;
  readonly perSecond: number;
  readonly rules: readonly {
    readonly name: string;
    readonly counts: ShownTally;
    readonly limit: number | null;
    readonly limitReached: boolean;
  }[];
  readonly proxies: readonly { readonly name: string; readonly counts: ShownTally; readonly perSecond: number }[];
  readonly verdict: Verdict;
}

/** `settling`: it has ended, and what was counted last may still be on its way. */
export const VERDICTS = ['active', 'settling', 'effective', 'inconclusive'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** A proxy's last counts are there so long after the end, if they come at all. */
export const SETTLING_MS = 5000;
/** What this replica knows of a run. @param now `elapsed` */
export function partsOf(run: Run, now: number): Part[] {
  return [...run.proxies].map(([proxy, known]) => ({ proxy, counts: asValue(known.counts), before: hitsBefore(known, now) }));
}

/**
 * A run as the API shows it.
 *
 * @param parts what the replicas know of it: of each counter the largest value is right
 * @param now milliseconds since the epoch
 */
export function shownRun({ policy, appliedAt }: StoredPolicy, parts: readonly Part[], now: number): ShownRun {
  const known = new Map<string, { counts: ProxyCounts; before: number }>();
  for (const { proxy, counts, before } of parts) {
    const one = known.get(proxy) ?? { counts: noCounts(), before: 0 };
    merge(one.counts, fromValue(counts));
    known.set(proxy, { counts: one.counts, before: Math.max(one.before, before) });
  }
  const totals = [...known].map(([name, { counts, before }]) => {
    const tallies = total(counts);
    return { name, tallies, perSecond: Math.max(0, hits(summed(tallies)) - before) / (RATE_MS / 1000) };
  });
  const byRule = allPlus(...totals.map(({ tallies }) => tallies));
  const all = summed(byRule);
  return {
    total: shown(all),
    perSecond: totals.reduce((sum, { perSecond }) => sum + perSecond, 0),
    rules: policy.spec.rules.map(({ match }, i) => {
      const limit = fleetLimit(match);
      const tally = byRule.get(i) ?? {};
      return {
        name: `${policy.metadata.name}/${i}`,
        counts: shown(tally),
        limit: limit ?? null,
        limitReached: limit !== undefined && hits(tally) >= limit,
      };
    }),
    proxies: totals
      .filter(({ name }) => name !== GONE)
      .map(({ name, tallies, perSecond }) => ({ name, counts: shown(summed(tallies)), perSecond }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    verdict: verdictOf(policyEnd(policy, appliedAt), hits(all), now),
  };
}

function verdictOf(end: number, hitRequests: number, now: number): Verdict {
  if (end === 0 || end > now) return 'active';
  if (hitRequests > 0) return 'effective';
  return now < end + SETTLING_MS ? 'settling' : 'inconclusive';
}

function shown(tally: Tally): ShownTally {
  const values = <Name extends keyof Tally>(names: readonly Name[]): Record<Name, number> =>
    Object.fromEntries(names.map((name) => [name, tally[name] ?? 0])) as Record<Name, number>;
  return { matched: matched(tally), injected: tally.injected ?? 0, kinds: values(KINDS), skipped: values(REASONS) };
}
