import { report } from '../support/report.ts';
import type { Pair } from './pair.ts';

/** Proxies that count and report as the filter does: all numbers since their start, again when an answer comes from a start of a replica that they don't know. */
export class Reporters {
  readonly #pair: Pair;
  readonly #key: bigint;
  readonly #running: Promise<void>[];
  readonly #counts: number[];
  #stopped = false;

  constructor(pair: Pair, key: bigint, count: number) {
    this.#pair = pair;
    this.#key = key;
    this.#counts = Array.from({ length: count }, () => 0);
    this.#running = this.#counts.map((_, proxy) => this.#run(proxy));
  }

  /** What all of them have counted. */
  get total(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** Counts no more, and waits until each has told what there is to tell. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(proxy: number): Promise<void> {
    const name = `reporter-${proxy}`;
    const known = new Set<string>();
    let acknowledged = -1;
    const heard = (start: string | null): void => {
      if (start === null || known.has(start)) return;
      known.add(start);
      acknowledged = -1;
    };
    /** Polls of each replica since it stopped counting: both must have been heard. */
    let quiet = 0;
    while (!this.#stopped || quiet < 20) {
      if (this.#stopped) quiet++;
      else this.#counts[proxy] = (this.#counts[proxy] ?? 0) + Math.floor(Math.random() * 5);
      const poll = await this.#pair
        .any()
        .poll({ name })
        .catch(() => undefined);
      heard(poll?.headers.get('x-hfi-replica') ?? null);
      const count = this.#counts[proxy] ?? 0;
      if (count === acknowledged) continue;
      const answer = await report(this.#pair.any(), [{ key: this.#key, injected: count }], { proxy: name }).catch(() => undefined);
      if (answer?.status !== 204) {
        quiet = 0;
        continue;
      }
      acknowledged = count;
      heard(answer.headers.get('x-hfi-replica'));
    }
  }
}
