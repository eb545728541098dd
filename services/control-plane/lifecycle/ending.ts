import { type End, isOver, ownEnd } from '../../policy/lifecycle.ts';
import { pause, type Runtime } from '../runtime.ts';
import { CONTROL_PLANE, type Origin, type Store, type StoredPolicy } from '../store/store.ts';

/** Between tries to write an end that the store didn't take. The policy keeps its place so long that one succeeds once the store is back. */
const AGAIN_MS = 1000;

export interface EndingOptions {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly replica: string;
  /** False from the moment on at which this replica is told to end: another one writes what is left. */
  readonly serving: () => boolean;
  /** An end could not be written yet. Told once for each. */
  readonly failed: (policy: string, error: unknown) => void;
}

/** Writes the ends that nobody asks for: every replica tries, and the store lets one do it. */
export class Ending {
  readonly #options: EndingOptions;

  constructor(options: EndingOptions) {
    this.#options = options;
  }

  /** The policy's time, or its owner's lease, is over here. */
  async over(stored: StoredPolicy): Promise<void> {
    const end = ownEnd(stored);
    if (end !== undefined) await this.end(stored, end);
  }

  /**
   * Ends a policy for good, with a reason. Tries until the store has done it, or the policy has changed so that it isn't over.
   *
   * @param run as it was when the reason came up
   */
  async end(run: StoredPolicy, end: End): Promise<void> {
    const { store, runtime, replica, serving, failed } = this.#options;
    const origin: Origin = { actor: CONTROL_PLANE, address: replica, time: end.at };
    let base = run;
    let told = false;
    while (serving()) {
      try {
        const outcome = await store.end(base, end, origin);
        const { current } = outcome.done ? { current: undefined } : outcome;
        // Ended by another replica, deleted, applied again, or renewed in time.
        if (current === undefined || current.ended !== undefined || current.appliedAt !== run.appliedAt) return;
        if (end.reason === 'expired' && !isOver(current, runtime.clock.now())) return;
        base = current;
      } catch (error) {
        if (!told) failed(run.policy.metadata.name, error);
        told = true;
        await pause(runtime, AGAIN_MS);
      }
    }
  }
}
