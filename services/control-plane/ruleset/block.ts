import { CHECKSUM_FROM, HEADER_CHECKSUM, HEADER_LENGTH } from '../../../filter/assembly/layout.ts';

const utf8 = new TextEncoder();

/** A growing little-endian block of bytes. Offsets count from its first byte; space is zeroed. */
export class Block {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;
  readonly #texts = new Map<string, number>();

  /** @param room bytes to begin with */
  constructor(room = 4096) {
    this.#bytes = new Uint8Array(room);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Takes `size` bytes at a multiple of `align` and returns their offset. */
  take(size: number, align = 4): number {
    const offset = Math.ceil(this.#length / align) * align;
    this.#length = offset + size;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return offset;
  }

  u16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, true);
  }

  u32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  u64(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, value, true);
  }

  f64(offset: number, value: number): void {
    this.#view.setFloat64(offset, value, true);
  }

  /** Writes bytes where space was taken for them. */
  bytes(offset: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, offset);
  }

  /** Places 16-bit numbers and returns their offset. */
  halves(numbers: Uint16Array): number {
    const offset = this.take(numbers.length * 2);
    numbers.forEach((number, i) => {
      this.#view.setUint16(offset + i * 2, number, true);
    });
    return offset;
  }

  /** Places bytes anywhere, or at a multiple of `align`, and returns their offset. */
  place(bytes: Uint8Array, align = 1): number {
    const offset = this.take(bytes.length, align);
    this.#bytes.set(bytes, offset);
    return offset;
  }

  /** Places a text as UTF-8, once however often it is asked for. */
  text(text: string): { offset: number; length: number } {
    const bytes = utf8.encode(text);
    const known = this.#texts.get(text);
    if (known !== undefined) return { offset: known, length: bytes.length };
    const offset = this.place(bytes);
    this.#texts.set(text, offset);
    return { offset, length: bytes.length };
  }

  /** Notes that a text stands in what was written already. */
  holds(text: string, offset: number): void {
    this.#texts.set(text, offset);
  }

  /** Places `count | items`, as the layout writes a list. */
  list(items: readonly number[]): number {
    const offset = this.take(4 + items.length * 4);
    this.u32(offset, items.length);
    items.forEach((item, i) => {
      this.u32(offset + 4 + i * 4, item);
    });
    return offset;
  }

  /** What was written, up to a multiple of four bytes. */
  bytesSoFar(): Uint8Array {
    this.take(0);
    return this.#bytes.slice(0, this.#length);
  }

  /** Writes length and checksum into the header and returns the finished bytes. */
  seal(): Uint8Array {
    this.take(0);
    this.u32(HEADER_LENGTH, this.#length);
    const bytes = this.#bytes.subarray(0, this.#length);
    this.u32(HEADER_CHECKSUM, adler32(bytes.subarray(CHECKSUM_FROM)));
    return bytes.slice();
  }
}

/** Adler-32 (RFC 1950, section 9). */
export function adler32(bytes: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (let from = 0; from < bytes.length; from += 5552) {
    for (const byte of bytes.subarray(from, from + 5552)) {
      low += byte;
      high += low;
    }
    low %= 65521;
    high %= 65521;
  }
  return ((high << 16) | low) >>> 0;
}
