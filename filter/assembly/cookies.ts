import { fieldNamed, fill, isFilled } from './slots';

/**
 * Fills the fields that are cookies from a `cookie` header: `name=value` between `;` (RFC 6265, section 4.2.1), without the
 * quotation marks around a value. Of several with one name the first counts, as in Envoy.
 *
 * @param buckets of the cookies' names
 */
export function fillCookies(buckets: usize, value: usize, length: u32): void {
  const end = value + length;
  let at = value;
  while (at < end) {
    while (at < end && (load<u8>(at) == 0x20 || load<u8>(at) == 0x09)) at++;
    const name = at;
    let equals: usize = 0;
    for (; at < end && load<u8>(at) != 0x3b; at++) {
      if (equals == 0 && load<u8>(at) == 0x3d) equals = at;
    }
    if (equals != 0) {
      const field = fieldNamed(buckets, name, <u32>(equals - name));
      if (field != 0 && !isFilled(field - 1)) fillUnquoted(field - 1, equals + 1, at);
    }
    at++;
  }
}

function fillUnquoted(field: u32, from: usize, to: usize): void {
  let end = to;
  while (end > from && (load<u8>(end - 1) == 0x20 || load<u8>(end - 1) == 0x09)) end--;
  const quoted = end - from >= 2 && load<u8>(from) == 0x22 && load<u8>(end - 1) == 0x22;
  if (quoted) fill(field, from + 1, <u32>(end - from - 2));
  else fill(field, from, <u32>(end - from));
}
