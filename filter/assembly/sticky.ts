import { RULE_SEED, RULE_STICKY } from './layout';
import { isFilled, lengthIn, valueIn } from './slots';

export function isSticky(rule: usize): bool {
  return load<u32>(rule + RULE_STICKY) != 0;
}

/**
 * The draw of a rule whose dice stick to a field of the request, as `firstMatch` found it: always the same for the same value
 * and seed, on every proxy. FNV-1a (draft-eastlake-fnv) with the last mixing of MurmurHash3, since a draw needs its high bits.
 *
 * @returns 0 to 0xfffffffe; 0xffffffff, which no rule fires at, when the request lacks the field
 */
export function stickyDraw(rule: usize): u32 {
  const field = load<u32>(rule + RULE_STICKY) - 1;
  if (!isFilled(field)) return 0xffffffff;
  const value = valueIn(field);
  const length = lengthIn(field);
  let hash: u32 = 0x811c9dc5 ^ load<u32>(rule + RULE_SEED);
  for (let i: u32 = 0; i < length; i++) hash = (hash ^ load<u8>(value + i)) * 0x01000193;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  hash ^= hash >> 16;
  return hash == 0xffffffff ? 0 : hash;
}
