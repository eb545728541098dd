import type { Clock } from '../runtime.ts';
import { Problem } from './problem.ts';

/** A token bucket for each name: `burst` at once, `perSecond` in the long run. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(perSecond: number, burst: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#clock = clock;
  }

  /** Takes one. @throws Problem `too-many-requests` when the bucket of `name` is empty; says when it won't be */
  take(name: string): void {
    const now = this.#clock.elapsed();
    const bucket = this.#buckets.get(name) ?? { left: this.#burst, at: now };
    bucket.left = Math.min(this.#burst, bucket.left + ((now - bucket.at) / 1000) * this.#perSecond);
    bucket.at = now;
    this.#buckets.set(name, bucket);
    if (bucket.left < 1) {
      throw new Problem('too-many-requests', `More than ${this.#perSecond} changes a second.`, {
        retryAfter: Math.max(1, Math.ceil((1 - bucket.left) / this.#perSecond)),
      });
    }
    bucket.left -= 1;
  }
}
