import type { Cancel, Runtime } from '../runtime.ts';
import type { CountsKey, KeptCounts, Written } from '../store/counts-store.ts';
import type { Counts } from './counts.ts';
import { asValue, folded, merge, total } from './proxy-counts.ts';
import type { Known, Run } from './run.ts';
import { minus, summed, type Tally } from './tally.ts';

/** Where counts are kept (`store/counts-store.ts`). */
export interface KeepsCounts {
  put(key: CountsKey, counts: Known['counts'], revision: number, by: string): Promise<Written>;
}

export interface KeeperOptions {
  readonly counts: Counts;
  readonly store: KeepsCounts;
  readonly runtime: Runtime;
  /** Of this start of this replica: no other has it. */
  readonly name: string;
  /** Told what a write added to what etcd had, over all rules: each count is told once, by the replica that wrote it. */
  readonly counted: (policy: string, growth: Tally) => void;
  readonly note: (what: string, details: Record<string, unknown>) => void;
}

/** A key is written at most so often, and more seldom when its value is long. */
const REST_MS = 1000;
const BYTES_PER_REST = 16 * 1024;
/** Writes of all keys a second. */
const WRITES_PER_SECOND = 200;
const MOST_WRITING = 16;
const ATTEMPTS = 8;
const AFTER_FAILURE_MS = 1000;
const FLUSH_MS = 2000;
const UNCONFIRMED_MS = 60_000;

/**
 * Keeps the counts of this replica in etcd.
 *
 * ```
 *   (unknown) ── grew ──▶ ready ── its turn ──▶ writing ── done ──▶ resting ── the rest is over, nothing new ──▶ (unknown)
 *                           ▲                      │                   │
 *                           ├──── failed, pause ◀──┘                   │
 *                           └───────────── grew meanwhile ◀────────────┘
 * ```
 */
interface Entry {
  readonly run: Run;
  readonly proxy: string;
  state: 'ready' | 'writing' | 'resting';
  grewMeanwhile: boolean;
}

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #ready = new Set<Entry>();
  /** Writes of which it isn't known whether they were done, by their names. */
  readonly #unconfirmed = new Map<string, { readonly policy: string; readonly growth: Tally; readonly at: number }>();
  #writes = 0;
  #writing = 0;
  #tokens = WRITES_PER_SECOND;
  #filledAt: number;
  #failing = false;
  #cancelTimer: Cancel | undefined;
  #flushing = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#filledAt = options.runtime.clock.elapsed();
  }

  /** Notes that more is known of a proxy than is kept. */
  grew(run: Run, proxy: string): void {
    const name = `${run.policy}/${run.appliedAt}/${proxy}`;
    const known = this.#entries.get(name);
    if (known !== undefined) {
      known.grewMeanwhile = true;
      return;
    }
    const entry: Entry = { run, proxy, state: 'ready', grewMeanwhile: false };
    this.#entries.set(name, entry);
    this.#ready.add(entry);
    this.#pump();
  }

  /** How many keys are not written yet. */
  get behind(): number {
    return [...this.#entries.values()].filter(({ state, grewMeanwhile }) => state !== 'resting' || grewMeanwhile).length;
  }

  /** Writes everything now, as far as it can be done in a short time. */
  async flush(): Promise<void> {
    this.#flushing = true;
    const { clock, timers } = this.#options.runtime;
    const until = clock.elapsed() + FLUSH_MS;
    while (this.behind > 0 && clock.elapsed() < until) {
      for (const entry of this.#entries.values()) if (entry.state === 'resting' && entry.grewMeanwhile) this.#makeReady(entry);
      this.#pump();
      await new Promise<void>((resolve) => {
        timers.after(5, resolve);
      });
    }
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#ready.clear();
  }

  #makeReady(entry: Entry): void {
    entry.state = 'ready';
    entry.grewMeanwhile = false;
    this.#ready.add(entry);
  }

  #pump(): void {
    const now = this.#options.runtime.clock.elapsed();
    this.#tokens = Math.min(WRITES_PER_SECOND, this.#tokens + ((now - this.#filledAt) / 1000) * WRITES_PER_SECOND);
    this.#filledAt = now;
    for (const entry of this.#ready) {
      if (this.#writing >= MOST_WRITING) return;
      if (this.#tokens < 1 && !this.#flushing) break;
      this.#tokens--;
      this.#ready.delete(entry);
      void this.#write(entry);
    }
    if (this.#ready.size === 0 || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#options.runtime.timers.after(1000 / WRITES_PER_SECOND, () => {
      this.#cancelTimer = undefined;
      this.#pump();
    });
  }

  async #write(entry: Entry): Promise<void> {
    entry.state = 'writing';
    this.#writing++;
    try {
      this.#rest(entry, await this.#put(entry));
      if (this.#failing) this.#options.note('counts are kept again', {});
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.note('counts can not be kept', { reason: String(error) });
      this.#failing = true;
      this.#forgetUnconfirmed();
      this.#options.runtime.timers.after(AFTER_FAILURE_MS, () => {
        this.#makeReady(entry);
        this.#pump();
      });
    } finally {
      this.#writing--;
      if (this.#ready.size > 0) this.#pump();
    }
  }

  /** @returns the length of what was written, in characters */
  async #put(entry: Entry): Promise<number> {
    const { run, proxy } = entry;
    const { store, counts, runtime } = this.#options;
    const key = { policy: run.policy, appliedAt: run.appliedAt, proxy };
    for (let i = 0; i < ATTEMPTS; i++) {
      const known = run.proxies.get(proxy);
      if (known === undefined) return 0;
      const next = folded(known.counts);
      const sum = summed(total(next));
      const by = `${this.#options.name}-${++this.#writes}`;
      this.#unconfirmed.set(by, { policy: run.policy, growth: minus(sum, known.kept.sum), at: runtime.clock.elapsed() });
      entry.grewMeanwhile = false;
      const result = await store.put(key, next, known.kept.revision, by);
      if (result.done) {
        this.confirm(by);
        known.kept = { revision: result.revision, sum };
        merge(known.counts, next);
        return JSON.stringify(asValue(next)).length;
      }
      this.#unconfirmed.delete(by);
      const { current } = result;
      if (current !== undefined) counts.take(current);
      known.kept = current === undefined ? { revision: 0, sum: {} } : keptOf(current);
    }
    throw new Error(`another replica wrote first, ${ATTEMPTS} times`);
  }

  /** A write was done, as its answer says or what is found in etcd. */
  confirm(by: string): void {
    const write = this.#unconfirmed.get(by);
    if (write === undefined) return;
    this.#unconfirmed.delete(by);
    this.#options.counted(write.policy, write.growth);
  }

  /** What the watch has not shown by now is not there. */
  #forgetUnconfirmed(): void {
    const before = this.#options.runtime.clock.elapsed() - UNCONFIRMED_MS;
    for (const [by, { at }] of this.#unconfirmed) if (at < before) this.#unconfirmed.delete(by);
  }

  #rest(entry: Entry, length: number): void {
    entry.state = 'resting';
    const ms = REST_MS * Math.max(1, length / BYTES_PER_REST);
    this.#options.runtime.timers.after(ms, () => {
      if (entry.state !== 'resting') return;
      if (entry.grewMeanwhile) {
        this.#makeReady(entry);
        this.#pump();
      } else this.#entries.delete(`${entry.run.policy}/${entry.run.appliedAt}/${entry.proxy}`);
    });
  }
}

/** What a proxy's counts in etcd are known as. */
export function keptOf({ counts, revision }: KeptCounts): Known['kept'] {
  return { revision, sum: summed(total(counts)) };
}
