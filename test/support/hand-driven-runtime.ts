import type { Runtime } from '../../services/control-plane/runtime.ts';

/** A runtime whose time goes on only when it is told to. */
export class HandDrivenRuntime implements Runtime {
  #elapsed = 0;
  readonly #start: number;
  readonly #due = new Set<{ readonly at: number; readonly task: () => void }>();

  /** @param start what the wall clock shows, in milliseconds since the epoch */
  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#start = start;
  }

  readonly clock = { now: () => this.#start + this.#elapsed, elapsed: () => this.#elapsed };
  readonly random = () => 0.5;
  readonly timers = {
    after: (ms: number, task: () => void) => {
      const timer = { at: this.#elapsed + ms, task };
      this.#due.add(timer);
      return () => void this.#due.delete(timer);
    },
  };

  /** Moves the clock, and runs each timer at its moment. */
  advance(ms: number): void {
    const until = this.#elapsed + ms;
    for (;;) {
      const [next] = [...this.#due].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#due.delete(next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.task();
    }
    this.#elapsed = until;
  }
}
