import { createHmac, timingSafeEqual } from 'node:crypto';
import { sha256 } from './content.ts';

/** Says that who wrote something has the audit key. */
export interface Signature {
  /** Which key: the first 16 hexadecimal digits of the SHA-256 of its own hash, which tells nothing of the key. */
  readonly key: string;
  /** HMAC-SHA-256, in hexadecimal. */
  readonly mac: string;
}

/** Signs hashes, and knows its own signatures. */
export class AuditKey {
  readonly id: string;
  readonly #secret: string;

  /** @param secret what only the control planes and the auditors have */
  constructor(secret: string) {
    this.#secret = secret;
    this.id = sha256(sha256(secret)).slice(0, 16);
  }

  /** @param purpose tells kinds of things apart, so that the signature of one is none of another */
  sign(purpose: string, hash: string): Signature {
    return { key: this.id, mac: this.#mac(purpose, hash).toString('hex') };
  }

  /** Whether it is this key's signature of that hash. */
  accepts(purpose: string, hash: string, { key, mac }: Signature): boolean {
    const given = Buffer.from(mac, 'hex');
    const own = this.#mac(purpose, hash);
    return key === this.id && given.length === own.length && timingSafeEqual(given, own);
  }

  #mac(purpose: string, hash: string): Buffer {
    return createHmac('sha256', this.#secret).update(`${purpose}\n${hash}`).digest();
  }
}
