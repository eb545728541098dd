import type { Runtime } from '../../services/control-plane/runtime.ts';

interface Waiting {
  readonly at: number;
  readonly task: () => void;
}

/** Time that stands still until it is told to go on. */
export class FakeTime {
  #elapsed = 0;
  /** What the wall clock is ahead of the monotonic one. */
  #wall: number;
  readonly #waiting = new Set<Waiting>();

  constructor(wall = Date.parse('2026-01-01T00:00:00Z')) {
    this.#wall = wall;
  }

  readonly runtime: Runtime = {
    clock: { now: () => this.#wall + this.#elapsed, elapsed: () => this.#elapsed },
    timers: {
      after: (ms, task) => {
        // As the real ones: nothing is waited for longer than a minute.
        const waiting = { at: this.#elapsed + Math.min(Math.max(ms, 0), 60_000), task };
        this.#waiting.add(waiting);
        return () => this.#waiting.delete(waiting);
      },
    },
    random: () => 0.5,
  };

  get now(): number {
    return this.runtime.clock.now();
  }

  /** Both clocks go on; what is due by then is done, in order, each at its time. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    for (;;) {
      const [next] = [...this.#waiting].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#waiting.delete(next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.task();
      await settled();
    }
    this.#elapsed = end;
    await settled();
  }

  /** Somebody sets the wall clock. */
  jump(ms: number): void {
    this.#wall += ms;
  }
}

/** What promises have to do at this moment is done. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
