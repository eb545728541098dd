import type { RunResult } from '../counts/shown.ts';
import { NowAndThen } from '../now-and-then.ts';
import type { Runtime } from '../runtime.ts';
import type { History, WaitingRun } from '../store/history.ts';
import { CONTROL_PLANE } from '../store/store.ts';

/** Between looks for runs that ended, in milliseconds. */
const LOOK_MS = 2000;

export interface SettlerOptions {
  readonly history: History;
  readonly runtime: Runtime;
  readonly replica: string;
  /** Reports come for so long after a run's end, in milliseconds. */
  readonly settlingMs: number;
  /** Whether this replica knows all that was counted, as far as anybody does. */
  readonly ready: () => boolean;
  /** What a run did in all; null when nobody knows it any more. */
  readonly resultOf: (run: WaitingRun) => RunResult | null;
  readonly failed: (error: unknown) => void;
}

/**
 * Writes what runs did that ended, once their last counts are there. Every replica looks now and then, and the store lets one write each.
 * What waits is in the store, so a restart forgets none.
 */
export class Settler {
  readonly #options: SettlerOptions;
  readonly #looks: NowAndThen;

  constructor(options: SettlerOptions) {
    this.#options = options;
    this.#looks = new NowAndThen({
      ...options,
      everyMs: LOOK_MS,
      task: async (stopped) => {
        if (options.ready()) await this.#settle(stopped);
      },
    });
  }

  start(): void {
    this.#looks.start();
  }

  stop(): void {
    this.#looks.stop();
  }

  /** Writes the results of those whose last counts are there. */
  async #settle(stopped: () => boolean): Promise<void> {
    const { history, runtime, replica, settlingMs, resultOf } = this.#options;
    const now = runtime.clock.now();
    for (const run of await history.waiting(now - settlingMs)) {
      if (stopped()) return;
      await history.settle(run, resultOf(run), { actor: CONTROL_PLANE, address: replica, time: now });
    }
  }
}
