import { fleetLimit } from '../../policy/match.ts';
import { type Identity, selects } from '../../policy/selector.ts';
import { stopsAfter } from '../../policy/stop-when.ts';
import type { Runtime } from '../runtime.ts';
import type { CountsKey, KeptCounts } from '../store/counts-store.ts';
import type { Change, StoredPolicy } from '../store/store.ts';
import { type OfNoRule, OfNoRules } from './of-no-rule.ts';
import { hear, total } from './proxy-counts.ts';
import { GONE, Run } from './run.ts';
import { RunIndex } from './run-index.ts';
import { type RunResult, resultOf } from './shown.ts';
import { isOlder, KINDS, matched, summed, type Tally } from './tally.ts';

/** Why a value of a report is not taken. */
export const IGNORED = ['unknown-rule', 'not-selected', 'beyond-sense', 'smaller', 'no-room'] as const;
export type Ignored = (typeof IGNORED)[number];

/** What a proxy says that it counted since its process began. */
export interface Report {
  readonly proxy: string;
  /** Undefined for one that can't be read. */
  readonly identity: Identity | undefined;
  readonly epoch: string;
  readonly rules: readonly { readonly key: bigint; readonly tally: Tally }[];
}

export interface CountsEvents {
  /** Told of each proxy of a run of which more is known than etcd has. */
  grew(run: Run, proxy: string): void;
  /** Told when a fleet-wide limit of a policy is reached. */
  spent(policy: string): void;
  /** Told of a policy that has hit as many requests as its `stopWhen` says, and again with each change of it until it has ended. */
  stopped(stored: StoredPolicy, hits: number, limit: number): void;
  ignored(reason: Ignored): void;
  /** Whether the copy of the policies is current. */
  fresh(): boolean;
  /** Told of a run that is over and can be forgotten everywhere. */
  over(run: Run): void;
}

/** More requests a second than any Envoy serves: what grows faster is no count. */
const MOST_PER_SECOND = 1_000_000;
/** Clocks differ, and reports take a while. */
const GRACE_SECONDS = 60;
/** A run is known for so long after it was replaced, deleted or swept: what was counted may come late, and somebody may look. */
export const KEEP_GONE_MS = 600_000;
const SWEEP_MS = 30_000;
/** How much is known at most. */
const MOST = {
  /** Proxies of all runs together. */
  known: 100_000,
  /** Runs that aren't in force any more. */
  gone: 5000,
  /** Proxies of which it is known what they counted for no rule. */
  proxies: 50_000,
};

/**
 * What the fleet counted, as this replica knows it: by run of a policy, proxy, process and rule. It is heard from proxies, and read from
 * etcd, where all replicas keep it; both ways the larger value is right.
 */
export class Counts {
  readonly #runtime: Runtime;
  readonly #events: CountsEvents;
  readonly #most: typeof MOST;
  readonly #index = new RunIndex();
  readonly #runs = new Map<string, Run>();
  /** Those that aren't in force any more, or not known to be, in the order in which they went. */
  readonly #gone = new Set<Run>();
  /** The run in force of each policy. */
  readonly #current = new Map<string, Run>();
  readonly #ofNoRule: OfNoRules;
  #known = 0;
  #loaded = false;
  #cancelSweep = (): void => undefined;

  constructor(runtime: Runtime, events: CountsEvents, most = MOST) {
    this.#most = most;
    this.#ofNoRule = new OfNoRules(most.proxies);
    this.#runtime = runtime;
    this.#events = events;
    this.#armSweep();
  }

  stop(): void {
    this.#cancelSweep();
  }

  /** Whether what was in etcd at the start has been read. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /**
   * Everything in etcd has been told.
   *
   * @param listed says whether etcd has a key
   */
  listed(listed: (key: CountsKey) => boolean): void {
    for (const run of this.#runs.values()) this.#dropFolded(run, listed);
    if (this.#loaded) return;
    this.#loaded = true;
    for (const [policy, run] of this.#current) {
      if (run.stored === undefined || limitedRules(run.stored).length === 0) continue;
      run.spend();
      this.#events.spent(policy);
      this.#stop(run);
    }
  }

  /** What was put into the sum of those that are gone while nobody told of it. */
  #dropFolded(run: Run, listed: (key: CountsKey) => boolean): void {
    const { policy, appliedAt } = run;
    const folded = run.proxies.get(GONE)?.kept.revision ?? 0;
    for (const [proxy, { kept }] of [...run.proxies]) {
      // One that etcd lacks for another reason, as after a restore, is known here and stays.
      if (kept.revision !== 0 && kept.revision < folded && !listed({ policy, appliedAt, proxy })) this.drop({ policy, appliedAt, proxy });
    }
  }

  /** Takes changes of the policies. */
  change(changes: readonly Change[]): void {
    const now = this.#runtime.clock.elapsed();
    for (const { name, after } of changes) {
      const run = after === undefined ? undefined : this.run(name, after.appliedAt);
      const before = this.#current.get(name);
      if (before !== undefined && before !== run) {
        this.#go(before, now);
        this.#current.delete(name);
      }
      if (run === undefined || after === undefined) continue;
      run.begin(after);
      this.#gone.delete(run);
      this.#current.set(name, run);
      run.spend();
      this.#stop(run);
    }
  }

  /** Takes note that more was counted of a run. */
  #spend(run: Run): void {
    if (run.spend()) this.#events.spent(run.policy);
    this.#stop(run);
  }

  #stop(run: Run): void {
    const { stored, about, stops, stopTold } = run;
    if (!stops || stopTold || about?.stopsAfter === undefined || stored === undefined || stored.ended !== undefined) return;
    run.stopTold = true;
    this.#events.stopped(stored, run.hits, about.stopsAfter);
  }

  /** The run in force of a policy. */
  current(policy: string): Run | undefined {
    return this.#current.get(policy);
  }

  /** The rules of a policy that are over before their time: their limits are reached, or it isn't known yet whether they are. */
  over(stored: StoredPolicy): ReadonlySet<number> {
    const { policy, appliedAt } = stored;
    const limited = limitedRules(stored);
    if (limited.length === 0) return NONE;
    if (!this.#loaded) return new Set(limited);
    return this.#runs.get(runName(policy.metadata.name, appliedAt))?.spent ?? NONE;
  }

  /**
   * What a run did that ended.
   *
   * @param endedAt milliseconds since the epoch
   * @returns null when it isn't known any more
   */
  result(policy: string, appliedAt: number, endedAt: number): RunResult | null {
    const run = this.#runs.get(runName(policy, appliedAt));
    // Of one of which nobody ever told anything, nothing is in etcd; nor is of one that was swept.
    if (run === undefined && endedAt + KEEP_GONE_MS <= this.#runtime.clock.now()) return null;
    return resultOf(run?.totals ?? new Map());
  }

  ofNoRule(proxy: string): OfNoRule | undefined {
    return this.#ofNoRule.get(proxy);
  }

  /** Takes a proxy's report. */
  report({ proxy, identity, epoch, rules }: Report): void {
    const now = this.#runtime.clock.elapsed();
    for (const { key, tally } of rules) {
      if (this.#ofNoRule.hear(proxy, epoch, key, tally)) continue;
      const found = this.#index.ruleOf(key);
      if (found === undefined) this.#events.ignored('unknown-rule');
      else this.#hear(found.run, found.rule, { proxy, identity, epoch, tally }, now);
    }
  }

  #hear(
    run: Run,
    rule: number,
    { proxy, identity, epoch, tally }: { proxy: string; identity: Identity | undefined; epoch: string; tally: Tally },
    now: number,
  ): void {
    const { about } = run;
    if (about === undefined) {
      this.#events.ignored('unknown-rule');
      return;
    }
    // One that guardrails didn't choose never had it.
    if (identity === undefined || !selects(about.selector, identity) || about.chosen?.has(proxy) === false) {
      this.#events.ignored('not-selected');
      return;
    }
    if (!makesSense(tally, (this.#runtime.clock.now() - run.appliedAt) / 1000)) {
      this.#events.ignored('beyond-sense');
      return;
    }
    const known = this.#knownIn(run, proxy, now);
    const change = known === undefined ? undefined : hear(known.counts, epoch, rule, tally);
    if (known === undefined || change === undefined) {
      this.#events.ignored('no-room');
      return;
    }
    if (isOlder(change.after, tally)) this.#events.ignored('smaller');
    if (change.before === change.after) return;
    run.grew(known, rule, change.before, change.after, now);
    this.#events.grew(run, proxy);
    this.#spend(run);
  }

  /** Takes what etcd has of a proxy in a run. */
  take(kept: KeptCounts): void {
    const { key, counts, revision } = kept;
    const now = this.#runtime.clock.elapsed();
    const run = this.run(key.policy, key.appliedAt);
    const known = this.#knownIn(run, key.proxy, now);
    if (known === undefined) {
      this.#events.ignored('no-room');
      return;
    }
    if (revision >= known.kept.revision) known.kept = { revision, sum: summed(total(counts)) };
    run.take(known, counts, now);
    // The sum of those that are gone has nothing new, and until they are dropped they are counted twice.
    if (key.proxy !== GONE) this.#spend(run);
  }

  /** What another replica has put into the sum of those that are gone is not a proxy's any longer. */
  drop({ policy, appliedAt, proxy }: CountsKey): void {
    const run = this.#runs.get(runName(policy, appliedAt));
    if (run === undefined || !run.proxies.has(proxy)) return;
    run.forget(proxy);
    this.#known--;
  }

  /** A run, from now on known. One that isn't in force is forgotten again after a while. */
  run(policy: string, appliedAt: number): Run {
    const name = runName(policy, appliedAt);
    const found = this.#runs.get(name);
    if (found !== undefined) return found;
    const run = new Run(policy, appliedAt);
    this.#runs.set(name, run);
    this.#index.add(run);
    this.#go(run, this.#runtime.clock.elapsed());
    return run;
  }

  get runs(): Iterable<Run> {
    return this.#runs.values();
  }

  #knownIn(run: Run, proxy: string, now: number) {
    if (run.proxies.has(proxy)) return run.known(proxy, now);
    if (this.#known >= this.#most.known) return undefined;
    this.#known++;
    return run.known(proxy, now);
  }

  #armSweep(): void {
    this.#cancelSweep = this.#runtime.timers.after(SWEEP_MS, () => {
      // Without a current copy of the policies nobody knows which runs are over.
      if (this.#events.fresh()) this.#sweep();
      this.#armSweep();
    });
  }

  #sweep(): void {
    const before = this.#runtime.clock.elapsed() - KEEP_GONE_MS;
    for (const run of this.#gone) {
      if (run.goneSince > before) return;
      this.#forget(run);
    }
  }

  #go(run: Run, now: number): void {
    run.goneSince = now;
    run.stored = undefined;
    this.#gone.add(run);
    const [oldest] = this.#gone;
    if (oldest !== undefined && this.#gone.size > this.#most.gone) this.#forget(oldest);
  }

  #forget(run: Run): void {
    this.#gone.delete(run);
    this.#known -= run.proxies.size;
    this.#runs.delete(runName(run.policy, run.appliedAt));
    this.#index.remove(run);
    this.#events.over(run);
  }
}

const NONE: ReadonlySet<number> = new Set();

/** The rules that what was counted can end. */
function limitedRules({ policy: { spec } }: StoredPolicy): number[] {
  const stops = stopsAfter(spec.stopWhen) !== undefined;
  return spec.rules.flatMap(({ match }, i) => (stops || fleetLimit(match) !== undefined ? [i] : []));
}

function runName(policy: string, appliedAt: number): string {
  return `${policy}/${appliedAt}`;
}

/** Whether a rule that is in force for so long can have been counted so. */
function makesSense(tally: Tally, seconds: number): boolean {
  const most = (Math.max(0, seconds) + GRACE_SECONDS) * MOST_PER_SECOND;
  const { injected = 0 } = tally;
  return matched(tally) <= most && KINDS.every((kind) => (tally[kind] ?? 0) <= injected);
}
