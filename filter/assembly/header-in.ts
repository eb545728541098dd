import { equalsAscii } from './text';

export let foundAt: usize = 0;
export let foundLength: u32 = 0;

/**
 * Finds a header by its name, for what is asked so rarely that it needs no field. Sent several times, the first is found.
 *
 * @param headers the header map's bytes, found well-formed before
 * @returns whether it is there; then its value is at `foundAt`, `foundLength`
 */
export function findHeader(headers: usize, headerCount: u32, name: string): bool {
  let lengths = headers + 4;
  let at = lengths + <usize>headerCount * 8;
  for (let i: u32 = 0; i < headerCount; i++) {
    const nameLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    lengths += 8;
    const value = at + nameLength + 1;
    if (equalsAscii(at, nameLength, name)) {
      foundAt = value;
      foundLength = valueLength;
      return true;
    }
    at = value + valueLength + 1;
  }
  return false;
}
