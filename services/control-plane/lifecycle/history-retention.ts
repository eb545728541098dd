import type { Cancel, Runtime } from '../runtime.ts';
import type { History } from '../store/history.ts';

/** Between looks for what is too old, in milliseconds, drawn from half to one and a half of it. */
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
  #stopped = false;
  #cancel: Cancel = () => undefined;

  constructor(options: HistoryRetentionOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.keepMs > 0 || this.#options.keepRuns > 0) this.#wait();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #wait(): void {
    const { timers, random } = this.#options.runtime;
    if (!this.#stopped) this.#cancel = timers.after(LOOK_MS * (0.5 + random()), () => void this.#look());
  }

  async #look(): Promise<void> {
    const { history, runtime, keepMs, keepRuns, failed } = this.#options;
    try {
      await history.trim(keepMs === 0 ? undefined : runtime.clock.now() - keepMs, keepRuns);
    } catch (error) {
      failed(error);
    }
    this.#wait();
  }
}
