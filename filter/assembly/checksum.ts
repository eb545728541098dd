/** Adler-32 of `length` bytes at `start` (RFC 1950, section 9). */
export function adler32(start: usize, length: u32): u32 {
  let low: u32 = 1;
  let high: u32 = 0;
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
