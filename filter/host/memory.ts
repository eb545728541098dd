import { type Exports, INTERNAL_FAILURE, NOT_FOUND, OK } from './abi.ts';
import { textOf } from './header-pairs.ts';

/** A module's memory as its host reads and fills it. */
export class Memory {
  /** Bytes that were handed to the module. */
  copied = 0;
  readonly #exports: () => Exports;

  /** @param exports of the instance, which is there only after its imports */
  constructor(exports: () => Exports) {
    this.#exports = exports;
  }

  get view(): DataView {
    return new DataView(this.#exports().memory.buffer);
  }

  /** A copy. */
  read(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#exports().memory.buffer, at, length).slice();
  }

  text(at: number, length: number): string {
    return textOf(this.read(at, length));
  }

  u32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  u64(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }

  /** Hands over bytes in memory that the module gives for it, and writes where and how many. @returns the call's status */
  give(value: Uint8Array | undefined, addressAt: number, lengthAt: number): number {
    if (value === undefined) return NOT_FOUND;
    const at = this.#exports().proxy_on_memory_allocate(value.length);
    if (at === 0) return INTERNAL_FAILURE;
    new Uint8Array(this.#exports().memory.buffer).set(value, at);
    this.u32(addressAt, at);
    this.u32(lengthAt, value.length);
    this.copied += value.length;
    return OK;
  }
}
