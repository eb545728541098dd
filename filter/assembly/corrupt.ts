import { bodyBytes, replaceBody, resultAt, resultLength } from './host';
import { CHANGE_CORRUPT, CHANGE_CORRUPT_SEED } from './layout';

/**
 * Turns one bit over in a share of the bytes of a piece. Which bytes and bits hangs on the seed and on the place in the body alone,
 * not on how the body is cut into pieces.
 *
 * @param from the piece's place in the body
 */
export function corrupt(change: usize, from: u32, length: u32, response: bool): void {
  if (!bodyBytes(response, length)) return;
  const threshold = load<u32>(change + CHANGE_CORRUPT);
  const seed = load<u32>(change + CHANGE_CORRUPT_SEED);
  const bytes = resultAt;
  const count = min<u32>(length, resultLength);
  let changed = false;
  for (let i: u32 = 0; i < count; i++) {
    const hash = mixed(seed, from + i);
    if (hash >= threshold && threshold != 0xffffffff) continue;
    store<u8>(bytes + i, load<u8>(bytes + i) ^ ((<u8>1) << (<u8>(mixed(hash, seed) & 7))));
    changed = true;
  }
  if (changed) replaceBody(response, count, bytes, count);
}

/** MurmurHash3's last mixing (Appleby), of a place and a seed. */
function mixed(seed: u32, place: u32): u32 {
  let hash: u32 = place * 0x9e3779b1 + seed;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  return hash ^ (hash >> 16);
}
