import { NowAndThen } from '../now-and-then.ts';
import type { Runtime } from '../runtime.ts';
import type { History } from '../store/history.ts';

/** Between looks for what is too old, in milliseconds. */
const LOOK_MS = 60_000;

export interface HistoryRetentionOptions {
  readonly history: History;
  readonly runtime: Runtime;
  /** How long runs stay after their end, in milliseconds; 0 = for ever. */
  readonly keepMs: number;
  /** How many runs stay; 0 = all. */
  readonly keepRuns: number;
  readonly failed: (error: unknown) => void;
}

/** Keeps the history from growing for ever. Every replica looks now and then; what one has removed the next doesn't find. */
export class HistoryRetention {
  readonly #options: HistoryRetentionOptions;
  readonly #looks: NowAndThen;

  constructor(options: HistoryRetentionOptions) {
    this.#options = options;
    this.#looks = new NowAndThen({ ...options, everyMs: LOOK_MS, task: () => this.#trim() });
  }

  start(): void {
    if (this.#options.keepMs > 0 || this.#options.keepRuns > 0) this.#looks.start();
  }

  stop(): void {
    this.#looks.stop();
  }

  #trim(): Promise<void> {
    const { history, runtime, keepMs, keepRuns } = this.#options;
    return history.trim(keepMs === 0 ? undefined : runtime.clock.now() - keepMs, keepRuns);
  }
}
