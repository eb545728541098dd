import type { Cancel, Runtime } from '../runtime.ts';
import type { StoredPolicy } from '../store/store.ts';
import { hasNoEnd, nextEnd } from './group.ts';
import { OwnersLeases } from './owners-leases.ts';

export interface EndsEvents {
  /** A rule of it, or all of it, is over now. */
  due(stored: StoredPolicy): void;
  /** All of it is over, and its end is not written yet. Told on every replica, and again with each change of it. */
  over(stored: StoredPolicy): void;
}

/** Waits for the ends of policies: those of their rules by the wall clock, those of their owners' leases by the monotonic one. */
export class Ends {
  readonly #runtime: Runtime;
  readonly #events: EndsEvents;
  readonly #leases: OwnersLeases;
  /** The timer of each policy that has an end ahead. */
  readonly #timers: Map<string, Cancel> = new Map();

  constructor(runtime: Runtime, events: EndsEvents) {
    this.#runtime = runtime;
    this.#events = events;
    this.#leases = new OwnersLeases(runtime.clock);
  }

  /** Takes a policy that is new, or another one than before. */
  take(stored: StoredPolicy): void {
    this.#leases.take(stored);
    this.#arm(stored);
  }

  forget(name: string): void {
    this.#leases.forget(name);
    this.#cancel(name);
  }

  /** Whether the owner's lease was over here: then a renewal brings its rules back. */
  isAbandoned(name: string): boolean {
    return this.#leases.left(name) === 0;
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
  }

  #cancel(name: string): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
  }

  #arm(stored: StoredPolicy): void {
    const { clock, timers } = this.#runtime;
    const { name } = stored.policy.metadata;
    this.#cancel(name);
    if (stored.ended !== undefined) return;
    const now = clock.now();
    const next = nextEnd(stored, now);
    const lease = this.#leases.left(name);
    if (lease === 0 || (next === undefined && !hasNoEnd(stored))) {
      this.#events.over(stored);
      return;
    }
    const wait = Math.min(next === undefined ? Number.POSITIVE_INFINITY : next - now, lease ?? Number.POSITIVE_INFINITY);
    if (wait === Number.POSITIVE_INFINITY) return;
    const task = (): void => {
      // A timer may be early, or a long one cut short: the clocks decide.
      if ((next !== undefined && clock.now() >= next) || this.isAbandoned(name)) this.#events.due(stored);
      this.#arm(stored);
    };
    this.#timers.set(name, timers.after(wait, task));
  }
}
