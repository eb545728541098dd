/** The checksum of no bytes. */
export const ADLER_BEGIN: u32 = 1;

/**
 * Adler-32 (RFC 1950, section 9), carried on over more bytes.
 *
 * @param before that of the bytes in front, or `ADLER_BEGIN`
 */
export function adler32(before: u32, start: usize, length: u32): u32 {
  let low: u32 = before & 0xffff;
  let high: u32 = before >> 16;
  let at = start;
  let left = length;
  while (left > 0) {
    // 5552 is the longest run for which both sums stay below 2^32.
    let run = min<u32>(left, 5552);
    left -= run;
    while (run > 0) {
      low += load<u8>(at);
      high += low;
      at++;
      run--;
    }
    low %= 65521;
    high %= 65521;
  }
  return (high << 16) | low;
}
