import { arenaAllocate } from './arena';
import { fieldNamed, fill, isFilled } from './slots';

/**
 * Fills the fields that are query parameters: `name=value` between `&`, behind the first `?` and in front of a `#`. A
 * parameter without `=` has the empty value; of several with one name the first counts, as in Envoy.
 *
 * @param buckets of the parameters' names
 * @param path with its query
 */
export function fillQuery(buckets: usize, path: usize, length: u32): void {
  const end = path + length;
  let at = path;
  while (at < end && load<u8>(at) != 0x3f && load<u8>(at) != 0x23) at++;
  if (at == end || load<u8>(at) == 0x23) return;
  at++;
  while (at < end && load<u8>(at) != 0x23) {
    const name = at;
    let equals: usize = 0;
    for (; at < end && load<u8>(at) != 0x26 && load<u8>(at) != 0x23; at++) {
      if (equals == 0 && load<u8>(at) == 0x3d) equals = at;
    }
    const nameEnd = equals == 0 ? at : equals;
    decode(name, <u32>(nameEnd - name));
    const field = fieldNamed(buckets, decodedAt, decodedLength);
    if (field != 0 && !isFilled(field - 1)) {
      if (equals == 0) decode(at, 0);
      else decode(equals + 1, <u32>(at - equals - 1));
      fill(field - 1, decodedAt, decodedLength);
    }
    if (at < end && load<u8>(at) == 0x26) at++;
  }
}

/** What was decoded last. */
export let decodedAt: usize = 0;
export let decodedLength: u32 = 0;

/** Percent-decodes (RFC 3986, section 2.1). What is no `%XX` stays as it is; so does `+`. Bytes are copied only if there is a `%`. */
export function decode(from: usize, length: u32): void {
  decodedAt = from;
  decodedLength = length;
  let first: u32 = 0;
  while (first < length && load<u8>(from + first) != 0x25) first++;
  if (first == length) return;
  const to = arenaAllocate(length);
  if (to == 0) return;
  memory.copy(to, from, first);
  let written = first;
  for (let i = first; i < length; i++) {
    let byte = <u32>load<u8>(from + i);
    if (byte == 0x25 && i + 2 < length) {
      const high = digit(load<u8>(from + i + 1));
      const low = digit(load<u8>(from + i + 2));
      if (high < 16 && low < 16) {
        byte = (high << 4) | low;
        i += 2;
      }
    }
    store<u8>(to + written, <u8>byte);
    written++;
  }
  decodedAt = to;
  decodedLength = written;
}

/** A hexadecimal digit's value; 16 when it is none. */
function digit(byte: u32): u32 {
  if (byte - 0x30 < 10) return byte - 0x30;
  const lower = byte | 0x20;
  return lower - 0x61 < 6 ? lower - 0x57 : 16;
}
