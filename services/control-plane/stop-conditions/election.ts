import type { Cancel, Runtime } from '../runtime.ts';
import { EVALUATOR_TTL_SECONDS, type StopStore } from '../store/stop-store.ts';

/** Between looks who evaluates, in milliseconds. */
const LOOK_MS = 1000;
/** For so long a replica that is no good leaves the place to others, in milliseconds. */
const RELUCTANT_MS = 5000;

/**
 * Who evaluates, as this replica knows it.
 *
 * - `own`: this one. It stays so until a look says otherwise, also when etcd doesn't answer: two that evaluate do no harm.
 * - `other`: another one.
 * - `alone`: nobody is known to, since etcd has not answered for as long as a lease lasts: then each evaluates for its own proxies.
 */
export type Standing = 'own' | 'other' | 'alone';

export interface ElectionOptions {
  readonly store: Pick<StopStore, 'elect' | 'leave'>;
  readonly runtime: Runtime;
  readonly replica: string;
  /** Whether this replica can evaluate. One that can't takes the place only when no other one does. */
  readonly able: boolean;
  /** Whether there is anything to evaluate: without it nobody is elected. */
  readonly needed: () => boolean;
  readonly changed: (standing: Standing) => void;
  readonly note: (what: string, details: Record<string, unknown>) => void;
}

/** Elects one replica over a key in etcd that lives as long as its lease. */
export class Election {
  readonly #options: ElectionOptions;
  #standing: Standing = 'other';
  /** `elapsed` of the last answer of etcd, or of when it was first asked. */
  #answeredAt: number | undefined;
  /** `elapsed` since when there has been no evaluator. */
  #vacantSince: number | undefined;
  #stopped = false;
  #looking = false;
  #cancel: Cancel = () => undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** There is something to evaluate, as from now on. */
  needed(): void {
    if (this.#looking || this.#stopped) return;
    this.#looking = true;
    void this.#look();
  }

  /** Gives the place free. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    this.#become('other');
    await this.#options.store.leave().catch(() => undefined);
  }

  async #look(): Promise<void> {
    const { store, runtime, replica, able, needed, note } = this.#options;
    const began = runtime.clock.elapsed();
    if (!needed()) {
      this.#looking = false;
      this.#answeredAt = undefined;
      this.#become('other');
      await store.leave().catch(() => undefined);
      return;
    }
    this.#answeredAt ??= began;
    try {
      const patient = this.#vacantSince === undefined || began < this.#vacantSince + RELUCTANT_MS;
      const { own, name } = await store.elect(replica, able || !patient);
      if (this.#stopped) return;
      this.#answeredAt = began;
      this.#vacantSince = name === '' ? (this.#vacantSince ?? began) : undefined;
      if (own !== (this.#standing === 'own')) note('the stop conditions are evaluated by', { replica: name });
      this.#become(own ? 'own' : 'other');
    } catch {
      const silent = runtime.clock.elapsed() - this.#answeredAt;
      if (!this.#stopped && this.#standing === 'other' && silent >= EVALUATOR_TTL_SECONDS * 1000) {
        note('etcd does not say who evaluates the stop conditions: this replica does', {});
        this.#become('alone');
      }
    }
    if (!this.#stopped)
      this.#cancel = runtime.timers.after(Math.max(0, began + LOOK_MS - runtime.clock.elapsed()), () => void this.#look());
  }

  #become(standing: Standing): void {
    if (standing === this.#standing) return;
    this.#standing = standing;
    this.#options.changed(standing);
  }
}
