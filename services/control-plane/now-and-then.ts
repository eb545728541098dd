import type { Cancel, Runtime } from './runtime.ts';

export interface NowAndThenOptions {
  readonly runtime: Runtime;
  /** Between the end of one time and the next, in milliseconds, drawn from half to one and a half of it: replicas don't all come at once. */
  readonly everyMs: number;
  /** What is done; `stopped` says whether to leave the rest. */
  readonly task: (stopped: () => boolean) => Promise<unknown>;
  /** Told of the first failure of a row. There is always a next time. */
  readonly failed: (error: unknown) => void;
}

/** Does something again and again, never twice at once, until it is stopped. */
export class NowAndThen {
  readonly #options: NowAndThenOptions;
  #failing = false;
  #stopped = false;
  #cancel: Cancel = () => undefined;

  constructor(options: NowAndThenOptions) {
    this.#options = options;
  }

  start(): void {
    const { runtime, everyMs } = this.#options;
    this.#waitUntil(runtime.clock.elapsed() + everyMs * (0.5 + runtime.random()));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #waitUntil(due: number): void {
    const { clock, timers } = this.#options.runtime;
    if (this.#stopped) return;
    const left = due - clock.elapsed();
    // A timer may be shorter than asked for, but what is left of less than a millisecond is a rounding.
    if (left < 1) void this.#run();
    else this.#cancel = timers.after(left, () => this.#waitUntil(due));
  }

  async #run(): Promise<void> {
    try {
      await this.#options.task(() => this.#stopped);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.failed(error);
      this.#failing = true;
    }
    this.start();
  }
}
