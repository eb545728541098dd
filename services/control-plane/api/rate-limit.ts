import type { Clock } from '../runtime.ts';
import { Problem } from './problem.ts';

/** Beyond so many buckets those that are full again are forgotten: they would begin as full. */
const MANY_BUCKETS = 20_000;

/** A token bucket for each name: `burst` at once, `perSecond` in the long run. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  readonly #what: string;
  readonly #buckets = new Map<string, { left: number; at: number }>();
  #sweepAt = MANY_BUCKETS;

  /** @param what what is limited, for the message */
  constructor(perSecond: number, burst: number, clock: Clock, what = 'changes') {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#clock = clock;
    this.#what = what;
  }

  /** Takes one. @throws Problem `too-many-requests` when the bucket of `name` is empty; says when it won't be */
  take(name: string): void {
    const now = this.#clock.elapsed();
    const bucket = this.#buckets.get(name) ?? { left: this.#burst, at: now };
    bucket.left = this.#leftOf(bucket, now);
    bucket.at = now;
    if (!this.#buckets.has(name)) this.#sweep(now);
    this.#buckets.set(name, bucket);
    if (bucket.left < 1) {
      throw new Problem('too-many-requests', `More than ${this.#perSecond} ${this.#what} a second.`, {
        retryAfter: Math.max(1, Math.ceil((1 - bucket.left) / this.#perSecond)),
      });
    }
    bucket.left -= 1;
  }

  /** How many names are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  #leftOf({ left, at }: { left: number; at: number }, now: number): number {
    return Math.min(this.#burst, left + ((now - at) / 1000) * this.#perSecond);
  }

  /** Who takes names at will must not fill the memory. */
  #sweep(now: number): void {
    if (this.#buckets.size < this.#sweepAt) return;
    for (const [name, bucket] of this.#buckets) if (this.#leftOf(bucket, now) >= this.#burst) this.#buckets.delete(name);
    this.#sweepAt = Math.max(MANY_BUCKETS, this.#buckets.size * 2);
  }
}
