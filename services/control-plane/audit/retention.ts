import { type Anchor, moveAnchor } from '../../audit/seal.ts';
import type { AuditKey } from '../../audit/signature.ts';
import { NowAndThen } from '../now-and-then.ts';
import type { Runtime } from '../runtime.ts';
import type { AuditLog, Oldest } from '../store/audit-log.ts';

/** Between looks for what is too old, in milliseconds. */
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
  readonly #looks: NowAndThen;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#looks = new NowAndThen({ ...options, everyMs: LOOK_MS, task: (stopped) => this.removeOld(stopped) });
  }

  start(): void {
    if (this.#options.keepMs > 0 || this.#options.keepEntries > 0) this.#looks.start();
  }

  stop(): void {
    this.#looks.stop();
  }

  /** Removes all that must go now, or leaves it to the replica that was faster. */
  async removeOld(stopped: () => boolean = () => false): Promise<void> {
    const { log, key, removed } = this.#options;
    let last: Anchor | undefined;
    while (!stopped()) {
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
