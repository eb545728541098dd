import { type Head, makeSeal, NO_SEAL, type Seal } from '../../audit/seal.ts';
import type { AuditKey } from '../../audit/signature.ts';
import type { Cancel, Runtime } from '../runtime.ts';
import type { AuditLog, Unsealed } from '../store/audit-log.ts';
import { MOST_IN_TRANSACTION } from '../store/etcd-audit.ts';

/** From an entry to its seal, in milliseconds: long enough that a busy time shares one seal. */
const SOON_MS = 200;
/** Between looks for what nobody sealed, such as the last entries of a replica that was killed. */
const LOOK_MS = 5000;

export interface SealerOptions {
  readonly log: AuditLog;
  readonly runtime: Runtime;
  readonly replica: string;
  readonly key: AuditKey | undefined;
  /** Told of each seal that this replica made. */
  readonly sealed: (seal: Seal) => void;
  /** The chain in the store is not the one that was there: something was taken away, or a backup brought back. */
  readonly broken: (known: Head, found: Head) => void;
  /** Sealing failed; it is tried again. Told once until it succeeds. */
  readonly failed: (error: unknown) => void;
}

/**
 * Seals what was audited: soon after this replica wrote an entry, and now and then what others left behind.
 *
 * ```
 *   waiting ──(soon, or time to look)──▶ sealing ──(nothing left, another replica was faster, or the store is away)──▶ waiting
 *      └────────────────────────────────────── stop() ends it from every state ──────────────────────────────────────────┘
 * ```
 *
 * Any replica may seal; the store takes one seal after each, so that the replicas together make one chain.
 */
export class Sealer {
  readonly #options: SealerOptions;
  #known: Head = { sequence: 0, hash: NO_SEAL };
  #state: 'new' | 'waiting' | 'sealing' | 'stopped' = 'new';
  /** When the next look is due, by `elapsed`. */
  #due = Number.POSITIVE_INFINITY;
  /** Something was written while it sealed. */
  #again = false;
  #begun = false;
  #failing = false;
  #cancel: Cancel = () => undefined;

  constructor(options: SealerOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'waiting';
    this.#wait(SOON_MS);
  }

  stop(): void {
    this.#state = 'stopped';
    this.#cancel();
  }

  /** An entry was written. */
  soon(): void {
    if (this.#state === 'sealing') this.#again = true;
    else if (this.#state === 'waiting' && this.#due > this.#options.runtime.clock.elapsed() + SOON_MS) this.#wait(SOON_MS);
  }

  #wait(ms: number): void {
    const { clock, timers } = this.#options.runtime;
    this.#cancel();
    this.#due = clock.elapsed() + ms;
    this.#cancel = timers.after(ms, () => void this.#seal());
  }

  async #seal(): Promise<void> {
    if (this.#state !== 'waiting') return;
    this.#state = 'sealing';
    this.#again = false;
    try {
      if (!this.#begun) await this.#options.log.begin();
      this.#begun = true;
      await this.#sealAll();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.failed(error);
      this.#failing = true;
    }
    // Stopped meanwhile.
    if ((this.#state as string) !== 'sealing') return;
    this.#state = 'waiting';
    this.#wait(this.#again ? SOON_MS : LOOK_MS * (0.5 + this.#options.runtime.random()));
  }

  async #sealAll(): Promise<void> {
    for (;;) {
      const found = await this.#options.log.unsealed();
      this.#compare(found.head);
      if (found.entries.length === 0) return;
      const sealed = await this.#sealFirst(found);
      // When another replica was faster, that one goes on.
      if (sealed === 0 || sealed === found.entries.length) return;
    }
  }

  /** Seals the first of them, those from before the chain apart. Tells how many. */
  async #sealFirst(found: Unsealed): Promise<number> {
    const { log, runtime, replica, key, sealed } = this.#options;
    const adopted = found.entries[0]?.adopted ?? false;
    const other = found.entries.findIndex((entry) => entry.adopted !== adopted);
    const most = Math.min(MOST_IN_TRANSACTION, other === -1 ? found.entries.length : other);
    const entries = found.entries.slice(0, most).map(({ adopted: _, ...entry }) => entry);
    const seal = makeSeal(found.head, { time: new Date(runtime.clock.now()).toISOString(), replica, adopted, entries }, key);
    if (!(await log.add(seal, found))) return 0;
    this.#known = { sequence: seal.sequence, hash: seal.hash };
    sealed(seal);
    return entries.length;
  }

  #compare(head: Head): void {
    const known = this.#known;
    this.#known = head;
    const back = head.sequence < known.sequence || (head.sequence === known.sequence && head.hash !== known.hash);
    if (back) this.#options.broken(known, head);
  }
}
