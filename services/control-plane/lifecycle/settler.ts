import type { RunResult } from '../counts/shown.ts';
import type { Cancel, Runtime } from '../runtime.ts';
import type { History, WaitingRun } from '../store/history.ts';
import { CONTROL_PLANE } from '../store/store.ts';

/** Between looks for runs that ended, in milliseconds, drawn from half to one and a half of it. */
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
  #failing = false;
  #stopped = false;
  #cancel: Cancel = () => undefined;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  start(): void {
    const { timers, random } = this.#options.runtime;
    if (!this.#stopped) this.#cancel = timers.after(LOOK_MS * (0.5 + random()), () => void this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #look(): Promise<void> {
    try {
      if (this.#options.ready()) await this.settle();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.failed(error);
      this.#failing = true;
    }
    this.start();
  }

  /** Writes the results of those whose last counts are there. */
  async settle(): Promise<void> {
    const { history, runtime, replica, settlingMs, resultOf } = this.#options;
    const now = runtime.clock.now();
    for (const run of await history.waiting(now - settlingMs)) {
      if (this.#stopped) return;
      await history.settle(run, resultOf(run), { actor: CONTROL_PLANE, address: replica, time: now });
    }
  }
}
