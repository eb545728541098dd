import { type Anchor, moveAnchor } from '../../audit/seal.ts';
import type { AuditKey } from '../../audit/signature.ts';
import type { Cancel, Runtime } from '../runtime.ts';
import type { AuditLog, Oldest } from '../store/audit-log.ts';

/** Between looks for what is too old, in milliseconds, drawn from half to one and a half of it. */
const LOOK_MS = 60_000;

export interface RetentionOptions {
  readonly log: AuditLog;
  readonly runtime: Runtime;
  readonly key: AuditKey | undefined;
  /** How long entries stay after their seal was made, in milliseconds; 0 = for ever. */
  readonly keepMs: number;
  /** How many entries stay; 0 = all. */
  readonly keepEntries: number;
  /** Told when this replica removed something, with where the chain begins now. */
  readonly removed: (anchor: Anchor) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Removes the oldest entries, a seal's at a time, when they are too old or too many. Every replica looks now and then; the store lets
 * one of them remove each seal, and the chain's anchor moves along in the same transaction, so that what stays can be verified.
 */
export class AuditRetention {
  readonly #options: RetentionOptions;
  #stopped = false;
  #cancel: Cancel = () => undefined;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.keepMs > 0 || this.#options.keepEntries > 0) this.#wait();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #wait(): void {
    const { timers, random } = this.#options.runtime;
    if (!this.#stopped) this.#cancel = timers.after(LOOK_MS * (0.5 + random()), () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      await this.removeOld();
    } catch (error) {
      this.#options.failed(error);
    }
    this.#wait();
  }

  /** Removes all that must go now, or leaves it to the replica that was faster. */
  async removeOld(): Promise<void> {
    const { log, key, removed } = this.#options;
    let last: Anchor | undefined;
    while (!this.#stopped) {
      const oldest = await log.oldest();
      const { seal } = oldest;
      if (seal === undefined || !this.#mustGo(oldest, Date.parse(seal.time), seal.entries.length)) break;
      const anchor = moveAnchor(oldest.anchor, seal, key);
      if (!(await log.forget({ ...oldest, seal }, anchor))) break;
      last = anchor;
    }
    if (last !== undefined) removed(last);
  }

  #mustGo({ head, anchor }: Oldest, sealedAt: number, entries: number): boolean {
    const { keepMs, keepEntries, runtime } = this.#options;
    if (keepMs > 0 && sealedAt <= runtime.clock.now() - keepMs) return true;
    return keepEntries > 0 && head.entries - (anchor?.entries ?? 0) - entries >= keepEntries;
  }
}
