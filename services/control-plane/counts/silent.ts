import { NowAndThen } from '../now-and-then.ts';
import type { Runtime } from '../runtime.ts';
import type { CountsKey } from '../store/counts-store.ts';
import type { Counts } from './counts.ts';
import { type ProxyCounts, putTogether } from './proxy-counts.ts';
import { GONE, type Run } from './run.ts';

/** Where proxies' counts are put together (`store/counts-store.ts`). */
export interface FoldsCounts {
  fold(gone: CountsKey, sum: ProxyCounts, goneRevision: number, from: CountsKey, fromRevision: number): Promise<number | undefined>;
}

/**
 * A proxy that was silent for so long is taken for gone. One that was only cut off and comes back with the same process would be counted
 * twice; its faults have long ended with its lease, of an hour at most.
 */
export const SILENT_MS = 24 * 3_600_000;
const EVERY_MS = 60_000;
/** Proxies that are put together at a time, so that etcd has other things to do in between. */
const AT_A_TIME = 500;

/** Puts the counts of proxies that are gone into one sum for each run, so that pods that come and go leave nothing behind. */
export class Silent {
  readonly #counts: Counts;
  readonly #store: FoldsCounts;
  readonly #runtime: Runtime;
  readonly #folds: NowAndThen;

  constructor(counts: Counts, store: FoldsCounts, runtime: Runtime) {
    this.#counts = counts;
    this.#store = store;
    this.#runtime = runtime;
    // Without etcd there is another time.
    this.#folds = new NowAndThen({ runtime, everyMs: EVERY_MS, task: () => this.fold(), failed: () => undefined });
  }

  start(): void {
    this.#folds.start();
  }

  stop(): void {
    this.#folds.stop();
  }

  /** @returns how many proxies were put away */
  async fold(): Promise<number> {
    const before = this.#runtime.clock.elapsed() - SILENT_MS;
    let done = 0;
    for (const run of this.#counts.runs) {
      for (const [proxy, { heardAt, kept }] of run.proxies) {
        if (proxy === GONE || heardAt > before || kept.revision === 0) continue;
        if (done === AT_A_TIME) return done;
        if (await this.#foldOne(run, proxy)) done++;
      }
    }
    return done;
  }

  async #foldOne(run: Run, proxy: string): Promise<boolean> {
    const known = run.proxies.get(proxy);
    if (known === undefined) return false;
    const gone = run.proxies.get(GONE);
    const sum = putTogether(gone === undefined ? [known.counts] : [known.counts, gone.counts]);
    const key = { policy: run.policy, appliedAt: run.appliedAt };
    const revision = await this.#store.fold({ ...key, proxy: GONE }, sum, gone?.kept.revision ?? 0, { ...key, proxy }, known.kept.revision);
    if (revision === undefined) return false;
    this.#counts.take({ key: { ...key, proxy: GONE }, counts: sum, revision, by: '' });
    this.#counts.drop({ ...key, proxy });
    return true;
  }
}
