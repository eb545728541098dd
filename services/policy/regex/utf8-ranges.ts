/** An inclusive range of bytes. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

const SURROGATES = { from: 0xd800, to: 0xdfff };
/** The last code point of each length in UTF-8 (RFC 3629, section 3). */
const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, 0x10ffff];

/**
 * The byte sequences of all code points of a range: each an array of byte ranges, one a byte, whose combinations are just those
 * (Cox, "Regular Expression Matching in the Wild", "UTF-8").
 */
export function utf8Ranges(from: number, to: number): ByteRange[][] {
  if (from > to) return [];
  if (from <= SURROGATES.to && to >= SURROGATES.from) {
    return [...utf8Ranges(from, SURROGATES.from - 1), ...utf8Ranges(SURROGATES.to + 1, to)];
  }
  for (const last of LAST_OF_LENGTH) {
    if (from <= last && to > last) return [...utf8Ranges(from, last), ...utf8Ranges(last + 1, to)];
  }
  // Only a range that takes whole blocks of the last bytes is a product of byte ranges.
  for (let bits = 6; bits < 24 && to > 0x7f; bits += 6) {
    const block = (1 << bits) - 1;
    if ((from & ~block) === (to & ~block)) continue;
    if ((from & block) !== 0) return [...utf8Ranges(from, from | block), ...utf8Ranges((from | block) + 1, to)];
    if ((to & block) !== block) return [...utf8Ranges(from, (to & ~block) - 1), ...utf8Ranges(to & ~block, to)];
  }
  const first = encode(from);
  const last = encode(to);
  return [first.map((byte, i) => ({ from: byte, to: last[i] ?? byte }))];
}

function encode(codePoint: number): number[] {
  if (codePoint <= 0x7f) return [codePoint];
  const tail = (shift: number): number => 0x80 | ((codePoint >> shift) & 0x3f);
  if (codePoint <= 0x7ff) return [0xc0 | (codePoint >> 6), tail(0)];
  if (codePoint <= 0xffff) return [0xe0 | (codePoint >> 12), tail(6), tail(0)];
  return [0xf0 | (codePoint >> 18), tail(12), tail(6), tail(0)];
}
