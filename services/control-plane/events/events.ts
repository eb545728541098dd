/**
 * What happens, as it is told to those who watch: what becomes of policies, what is halted, and how the proxies of this replica stand. Each replica
 * tells what it sees itself; who did it is in the audit.
 */
export const POLICY_EVENTS = ['created', 'replaced', 'deleted', 'ended', 'result'] as const;

export interface PolicyEvent {
  readonly type: 'policy';
  readonly what: (typeof POLICY_EVENTS)[number];
  readonly policy: string;
  /** The namespace that its selector names; null for one that names none. */
  readonly namespace: string | null;
  /** The revision of the change that it came with. */
  readonly revision: number;
  /** In words, for a person. */
  readonly message: string;
}

export const HALT_EVENTS = ['halted', 'resumed'] as const;

export interface HaltEvent {
  readonly type: 'halt';
  readonly what: (typeof HALT_EVENTS)[number];
  /** null = everything. */
  readonly namespace: string | null;
  readonly message: string;
}

export interface FleetEvent {
  readonly type: 'fleet';
  /** The proxies of the replica that tells. */
  readonly connected: number;
  /** Those of them that run what they should. */
  readonly current: number;
}

export type Happening = PolicyEvent | HaltEvent | FleetEvent;

export type HfiEvent = Happening & {
  /** Counts the events of this start of this replica, from 1. */
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
};

/** So many are kept for those who come back. */
const KEPT = 1000;

/** The events of this replica, and those who wait for the next one. */
export class Events {
  readonly #now: () => number;
  readonly #kept: HfiEvent[] = [];
  readonly #waiting = new Set<() => void>();
  #last = 0;

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The number of the newest event; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  tell(happening: Happening): void {
    this.#kept.push({ ...happening, number: ++this.#last, time: this.#now() });
    if (this.#kept.length > KEPT) this.#kept.shift();
    for (const wake of [...this.#waiting]) wake();
  }

  /** The events behind a number that are still kept, and whether some in between are not. */
  after(number: number): { readonly events: readonly HfiEvent[]; readonly missed: boolean } {
    const first = this.#last - this.#kept.length + 1;
    return { events: this.#kept.slice(Math.max(0, number + 1 - first)), missed: number + 1 < first };
  }

  /** Waits until there is an event behind `number`, or `signal` says that nobody waits any more. */
  next(number: number, signal: AbortSignal): Promise<void> {
    if (this.#last > number || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
