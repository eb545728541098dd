import { createHash } from 'node:crypto';
import { Dice } from '../fuzz/dice.ts';

interface Due {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

/** Lines that a failure shows. */
const KEPT_LINES = 80;

/**
 * Time that goes on from event to event, and dice that follow from a seed. Whatever happens in a simulation happens in a task of this; after
 * each, everything that waits for promises alone has its turn, so that nothing depends on real time.
 */
export class Scheduler {
  /** Milliseconds since the simulation began. */
  now = 0;
  readonly dice: Dice;
  /** The last things that happened. */
  readonly lines: string[] = [];
  readonly #heap: Due[] = [];
  readonly #hash = createHash('sha256');
  #order = 0;
  events = 0;

  constructor(seed: number) {
    this.dice = new Dice(BigInt(seed));
  }

  /** Dice of its own for a part, so that one part's draws leave the others' alone. */
  fork(): Dice {
    return new Dice((BigInt(this.dice.word()) << 32n) | BigInt(this.dice.word()));
  }

  /** Notes what happened. The notes of two runs of one seed are the same. */
  note(line: string): void {
    const text = `${this.now.toFixed(3)} ${line}`;
    this.#hash.update(text).update('\n');
    this.lines.push(text);
    if (this.lines.length > KEPT_LINES * 2) this.lines.splice(0, KEPT_LINES);
  }

  /** Of all notes. */
  get trace(): string {
    return this.#hash.copy().digest('hex');
  }

  /** Runs `task` in `ms` milliseconds. */
  after(ms: number, task: () => void): () => void {
    const due: Due = { at: this.now + Math.max(0, ms), order: this.#order++, task, cancelled: false };
    this.#rise(this.#heap.push(due) - 1);
    return () => {
      due.cancelled = true;
    };
  }

  /** Lets the time go on to `until`. @param stop ends it before */
  async run(until: number, stop: () => boolean): Promise<void> {
    await turn();
    for (;;) {
      const next = this.#heap[0];
      if (stop()) return;
      if (next === undefined || next.at > until) break;
      this.#take();
      if (next.cancelled) continue;
      this.now = next.at;
      this.events++;
      next.task();
      await turn();
    }
    this.now = Math.max(this.now, until);
  }

  #before(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a] as Due, this.#heap[b] as Due];
    return one.at < other.at || (one.at === other.at && one.order < other.order);
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b] as Due, heap[a] as Due];
  }

  #rise(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #take(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [at * 2 + 1, at * 2 + 2]) if (child < this.#heap.length && this.#before(child, least)) least = child;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}

/** Comes back when everything that needs no more than promises has been done. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
