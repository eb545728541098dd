import type { IRequestOp } from 'etcd3';
import { AUDIT, auditId } from './keys.ts';
import { type AuditValue, encode } from './value.ts';

/** Makes audit entries part of a transaction. */
export class AuditWriter {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * What a transaction needs to write the entry.
   *
   * @param rest the end of the entry's id; drawn when not given
   */
  ops(value: AuditValue, rest: string = this.#draw()): IRequestOp[] {
    return [{ request_put: { key: Buffer.from(`${AUDIT}${auditId(value.time, rest)}`), value: encode(value) } }];
  }

  #draw(): string {
    return Math.floor(this.#random() * 2 ** 48)
      .toString(16)
      .padStart(12, '0');
  }
}
