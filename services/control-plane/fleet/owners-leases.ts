import { leaseUntil, ownersLeaseMs } from '../../policy/lifecycle.ts';
import type { Clock } from '../runtime.ts';
import type { StoredPolicy } from '../store/store.ts';

/**
 * The leases of policies' owners, by this replica's monotonic clock. From the moment at which the replica hears of an apply or of a renewal
 * the lease runs for what is left of it by the wall clock, and for no longer than its length: a wall clock that is wrong, or jumps
 * afterwards, can end a policy early and never late.
 */
export class OwnersLeases {
  readonly #clock: Clock;
  /** When each ends, by `elapsed`. */
  readonly #ends = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes what is known of a policy now; one without a lease, or that has ended, is forgotten. */
  take(stored: StoredPolicy): void {
    const name = stored.policy.metadata.name;
    const length = ownersLeaseMs(stored.policy);
    const until = leaseUntil(stored);
    if (length === undefined || until === undefined || stored.ended !== undefined) {
      this.#ends.delete(name);
      return;
    }
    this.#ends.set(name, this.#clock.elapsed() + Math.min(length, until - this.#clock.now()));
  }

  forget(name: string): void {
    this.#ends.delete(name);
  }

  /** Milliseconds until the lease ends, 0 when it has; undefined when there is none. */
  left(name: string): number | undefined {
    const end = this.#ends.get(name);
    return end === undefined ? undefined : Math.max(0, end - this.#clock.elapsed());
  }
}
