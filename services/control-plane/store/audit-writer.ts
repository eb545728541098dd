import type { IRequestOp } from 'etcd3';
import { contentHash } from '../../audit/content.ts';
import { SIGNED } from '../../audit/seal.ts';
import type { AuditKey, Signature } from '../../audit/signature.ts';
import { AUDIT, AUDIT_WAITING, auditId } from './keys.ts';
import type { AuditEntry } from './store.ts';
import { type AuditValue, encode } from './value.ts';

/** What waits for a seal. */
export interface WaitingValue {
  readonly hash: string;
  readonly signature?: Signature;
  /** The revision of an entry from before the chain. */
  readonly adopted?: string;
}

/** What whoever writes audit entries needs. */
export interface AuditOptions {
  /** Signs entries. */
  readonly auditKey?: AuditKey | undefined;
  /** Told when an entry was written, so that it is sealed soon. */
  readonly audited?: () => void;
}

/** An entry as the API shows it; this is what is hashed, so that who reads the API can check it. */
export function shown<T extends Omit<AuditEntry, 'id' | 'revision'>>({ time, ...entry }: T) {
  return { ...entry, time: new Date(time).toISOString() };
}

/** Makes audit entries part of a transaction. */
export class AuditWriter {
  readonly #random: () => number;
  readonly #key: AuditKey | undefined;

  constructor(random: () => number, key: AuditKey | undefined) {
    this.#random = random;
    this.#key = key;
  }

  /**
   * What a transaction needs to write the entry, and to have it sealed.
   *
   * @param rest the end of the entry's id; drawn when not given
   */
  ops(value: AuditValue, rest: string = this.#draw()): IRequestOp[] {
    const id = auditId(value.time, rest);
    const hash = contentHash(shown(value));
    const waiting: WaitingValue = { hash, ...(this.#key === undefined ? {} : { signature: this.#key.sign(SIGNED.entry, hash) }) };
    return [
      { request_put: { key: Buffer.from(`${AUDIT}${id}`), value: encode(value) } },
      { request_put: { key: Buffer.from(`${AUDIT_WAITING}${id}`), value: encode(waiting) } },
    ];
  }

  #draw(): string {
    return Math.floor(this.#random() * 2 ** 48)
      .toString(16)
      .padStart(12, '0');
  }
}
