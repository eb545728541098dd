import type { Cancel, Runtime } from '../runtime.ts';
import type { Halt, HaltStore } from '../store/halts.ts';
import { haltKey } from '../store/keys.ts';

/** Between tries to keep a halt in the store. */
const AGAIN_MS = 500;

/** A halt as it is in force at this replica. */
export interface HaltInForce {
  readonly halt: Halt;
  /** False while only replicas know of it: the store has not taken it yet. */
  readonly kept: boolean;
}

export interface HaltsOptions {
  readonly runtime: Runtime;
  readonly store: HaltStore;
  /** The halts in the store, by their keys, as this replica knows them. */
  readonly followed: ReadonlyMap<string, Halt>;
  /** The newest revision of which `followed` knows everything. */
  readonly seen: () => number;
  /** Called when something is halted or goes on: what is in force has changed. */
  readonly changed: () => void;
  /** Told when a halt couldn't be kept at the first try, and when it was. */
  readonly note: (what: string, details: Record<string, unknown>) => void;
}

/** A halt that this replica was asked for and can't yet see in the store. */
interface Own {
  halt: Halt;
  /** The revision at which the store had it; undefined until then. */
  kept: number | undefined;
  /** Ends the wait for the next try. */
  cancel: Cancel;
}

/**
 * What is halted: what lies in the store, and what this replica was asked for and the store hasn't taken yet.
 *
 * ```
 *   asked here, told by a replica, or lost by the store ──▶ own ──(kept: tried until it succeeds)──▶ own, kept
 *                                                            │                                          │
 *                  lifted since, or another one is there ────┤         seen in `followed`, or past it ──┤
 *                                                            ▼                                          ▼
 *                                                                     in the store alone
 * ```
 *
 * A halt holds from the moment at which it is asked for, whatever the store says: halting needs nobody's leave. It ends by the store
 * alone, so that a replica that is cut off from it goes on halting.
 */
export class Halts {
  readonly #options: HaltsOptions;
  /** By key. */
  readonly #own = new Map<string, Own>();
  #stopped = false;

  constructor(options: HaltsOptions) {
    this.#options = options;
  }

  /** The halt that holds for a namespace's proxies; undefined when they may inject. */
  of(namespace: string): Halt | undefined {
    return this.#at(haltKey(null)) ?? this.#at(haltKey(namespace));
  }

  /** The halt of this very namespace, or of everything. */
  exactly(namespace: string | null): Halt | undefined {
    return this.#at(haltKey(namespace));
  }

  /** A halt that forbids a policy for a namespace, or for any (undefined, `*`); undefined when there is none. */
  over(namespace: string | undefined): Halt | undefined {
    return namespace === undefined || namespace === '*' ? this.inForce()[0]?.halt : this.of(namespace);
  }

  /** All that is halted, everything first, then namespaces by name. */
  inForce(): HaltInForce[] {
    const keys = new Set([...this.#options.followed.keys(), ...this.#own.keys()]);
    return [...keys].sort().flatMap((key) => {
      const halt = this.#at(key);
      return halt === undefined ? [] : [{ halt, kept: this.#options.followed.has(key) || this.#own.get(key)?.kept !== undefined }];
    });
  }

  /** How many halts are in force, and how many of those the store hasn't taken. */
  counts(): { all: number; namespaces: number; unkept: number } {
    const inForce = this.inForce();
    const all = inForce.filter(({ halt }) => halt.namespace === null).length;
    return { all, namespaces: inForce.length - all, unkept: inForce.filter(({ kept }) => !kept).length };
  }

  /** Whether a namespace's proxies are halted by what only replicas know of. */
  isOwn(namespace: string): boolean {
    return this.#own.has(haltKey(null)) || this.#own.has(haltKey(namespace));
  }

  /**
   * Halts at once and keeps that in the store; goes on trying when it can't.
   *
   * @returns the halt in force, which is the one before if there was one, and the revision at which the store had it; without a revision it
   * isn't kept yet
   */
  async halt(wanted: Halt): Promise<{ readonly halt: Halt; readonly revision: number | undefined }> {
    const key = haltKey(wanted.namespace);
    const fresh = this.#hold(wanted);
    const followed = this.#options.followed.get(key);
    if (followed !== undefined) return { halt: followed, revision: this.#options.seen() };
    const own = fresh ?? this.#own.get(key);
    if (own === undefined) throw new Error('a halt that is held is neither followed nor own');
    if (own.kept === undefined) await this.#keep(own);
    if (own === fresh && own.kept === undefined) this.#again(own);
    return { halt: own.halt, revision: own.kept };
  }

  /** Halts at once what another replica was asked to halt, or what the store lost, and sees to it that it is kept. */
  hold(halt: Halt): void {
    const own = this.#hold(halt);
    // Whoever was asked keeps it; this one only if that one can't.
    if (own !== undefined) this.#again(own);
  }

  /** Tries once more to keep what isn't kept yet of a namespace, or of everything. @throws StoreUnavailable */
  async settle(namespace: string | null): Promise<void> {
    const own = this.#own.get(haltKey(namespace));
    if (own !== undefined && own.kept === undefined) await this.#tryToKeep(own);
  }

  /** The store has another history now, which lacks these halts: nobody lifted them, so they hold on and are kept anew. */
  lost(halts: readonly Halt[]): void {
    for (const own of this.#own.values()) {
      if (own.kept === undefined) continue;
      own.kept = undefined;
      this.#again(own);
    }
    for (const halt of halts) this.hold(halt);
  }

  /** What this replica knows of the store has changed. */
  caughtUp(): void {
    for (const [key, own] of this.#own) {
      const past = own.kept !== undefined && this.#options.seen() >= own.kept;
      if (this.#options.followed.has(key) || past) this.#drop(key, own);
    }
    this.#options.changed();
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#own.values()) cancel();
  }

  #at(key: string): Halt | undefined {
    return this.#options.followed.get(key) ?? this.#own.get(key)?.halt;
  }

  /** @returns undefined when there is one already */
  #hold(halt: Halt): Own | undefined {
    const key = haltKey(halt.namespace);
    if (this.#at(key) !== undefined) return undefined;
    const own: Own = { halt, kept: undefined, cancel: () => undefined };
    this.#own.set(key, own);
    this.#options.changed();
    return own;
  }

  #drop(key: string, own: Own): void {
    own.cancel();
    this.#own.delete(key);
  }

  /** One try. */
  async #keep(own: Own): Promise<void> {
    try {
      await this.#tryToKeep(own);
    } catch (error) {
      this.#options.note('a halt is not kept in etcd yet', { namespace: own.halt.namespace, err: error });
    }
  }

  async #tryToKeep(own: Own): Promise<void> {
    const { halt, revision } = await this.#options.store.keep(own.halt);
    own.kept = revision;
    if (halt !== undefined) own.halt = halt;
    // Lifted since, says the store: waiting for its revision would be waiting for whatever else was written meanwhile.
    else this.#drop(haltKey(own.halt.namespace), own);
    // It may have been seen before the answer came.
    this.caughtUp();
  }

  #again(own: Own): void {
    own.cancel = this.#options.runtime.timers.after(AGAIN_MS, async () => {
      if (this.#stopped || this.#own.get(haltKey(own.halt.namespace)) !== own) return;
      await this.#keep(own);
      if (own.kept === undefined) this.#again(own);
      else this.#options.note('a halt is kept in etcd now', { namespace: own.halt.namespace, revision: own.kept });
    });
  }
}
