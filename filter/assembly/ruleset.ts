import { setBounds } from './bounds';
import { BROKEN, beginTable, checkTable, GOES_ON } from './check-table';
import { ADLER_BEGIN, adler32 } from './checksum';
import {
  CHECKSUM_FROM,
  HEADER_BYTES,
  HEADER_CHECKSUM,
  HEADER_INBOUND,
  HEADER_LAYOUT,
  HEADER_LENGTH,
  HEADER_MAGIC,
  HEADER_OUTBOUND,
  LAYOUT_VERSION,
  MAGIC,
  MAX_RULESET_BYTES,
} from './layout';

/** Why a block is refused; 0 is none. */
export const REFUSED_NOT: u32 = 0;
export const REFUSED_MAGIC: u32 = 1;
export const REFUSED_LAYOUT: u32 = 2;
export const REFUSED_LENGTH: u32 = 3;
export const REFUSED_CHECKSUM: u32 = 4;
export const REFUSED_STRUCTURE: u32 = 5;
export const REFUSED_TOO_LARGE: u32 = 6;
/** The check goes on. */
export const REFUSED_NOT_YET: u32 = 7;

/** A reason in words, for the log and for `x-hfi-refused`. */
export function refusalText(reason: u32): string {
  if (reason == REFUSED_MAGIC) return 'not a ruleset';
  if (reason == REFUSED_LAYOUT) return 'layout version not known to this filter';
  if (reason == REFUSED_LENGTH) return 'received incompletely';
  if (reason == REFUSED_CHECKSUM) return 'checksum differs';
  if (reason == REFUSED_STRUCTURE) return 'damaged structure';
  return 'too large';
}

/** Bytes of the checksum in a piece. */
const PIECE: u32 = 64 * 1024;

const CHECKSUM: u32 = 0;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

let block: usize = 0;
let length: u32 = 0;
let part: u32 = CHECKSUM;
/** Where the checksum goes on, and what it is so far. */
let summed: u32 = 0;
let sum: u32 = 0;

/**
 * Begins to check a block, which must stay where it is meanwhile. A check that was under way is given up.
 *
 * @param bytes where they lie
 * @param count how many there are
 * @returns why they can't be used, or `REFUSED_NOT_YET`: then `checkOn` is to be called
 */
export function beginCheck(bytes: usize, count: u32): u32 {
  if (count > MAX_RULESET_BYTES) return REFUSED_TOO_LARGE;
  if (count < HEADER_BYTES) return count < 4 || load<u32>(bytes + HEADER_MAGIC) == MAGIC ? REFUSED_LENGTH : REFUSED_MAGIC;
  if (load<u32>(bytes + HEADER_MAGIC) != MAGIC) return REFUSED_MAGIC;
  if (load<u32>(bytes + HEADER_LAYOUT) != LAYOUT_VERSION) return REFUSED_LAYOUT;
  if (load<u32>(bytes + HEADER_LENGTH) != count) return REFUSED_LENGTH;
  block = bytes;
  length = count;
  part = CHECKSUM;
  summed = CHECKSUM_FROM;
  sum = ADLER_BEGIN;
  return REFUSED_NOT_YET;
}

/**
 * Checks one piece more, some tens of microseconds of work. After `REFUSED_NOT` the block is checked completely, so that `match.ts` may read
 * it unchecked: no offset leads out of it and no walk through it is endless. All pieces together are linear in the block's length.
 *
 * @returns `REFUSED_NOT`, `REFUSED_NOT_YET`, or why it can't be used
 */
export function checkOn(): u32 {
  if (part == CHECKSUM) {
    const end = min<u32>(length, summed + PIECE);
    sum = adler32(sum, block + summed, end - summed);
    summed = end;
    if (end < length) return REFUSED_NOT_YET;
    if (sum != load<u32>(block + HEADER_CHECKSUM)) return REFUSED_CHECKSUM;
    setBounds(block, length);
    return checkNext(INBOUND, HEADER_INBOUND);
  }
  const found = checkTable();
  if (found == BROKEN) return REFUSED_STRUCTURE;
  if (found == GOES_ON) return REFUSED_NOT_YET;
  return part == INBOUND ? checkNext(OUTBOUND, HEADER_OUTBOUND) : REFUSED_NOT;
}

function checkNext(following: u32, header: u32): u32 {
  part = following;
  return beginTable(load<u32>(block + header)) ? REFUSED_NOT_YET : REFUSED_STRUCTURE;
}
