import { arenaAllocate, reserve } from './arena';
import { FIELD_BYTES, FIELD_NAME, FIELD_NAME_LENGTH, FIELD_NEXT, nameBucket } from './layout';
import { same } from './text';

/**
 * One slot a field: which value the present request has there.
 *
 * ```
 * +-------+-------+--------+-------+------+----------+
 * | stamp | value | length | times | fill | previous |   stamp = this request's, else the slot is void
 * +-------+-------+--------+-------+------+----------+   previous = index + 1 of the slot that was filled before this one
 * ```
 */
const SLOT_BYTES: u32 = 24;
const SLOT_STAMP: u32 = 0;
const SLOT_VALUE: u32 = 4;
const SLOT_LENGTH: u32 = 8;
const SLOT_TIMES: u32 = 12;
const SLOT_FILL: u32 = 16;
const SLOT_PREVIOUS: u32 = 20;

let slots: usize = 0;
let capacity: u32 = 0;
let stamp: u32 = 0;
/** Index + 1 of the slot filled last. */
let last: u32 = 0;
let block: usize = 0;
let fields: usize = 0;

/**
 * Makes room for a table's fields. Called when a ruleset is taken, never in a request; keeps the largest room ever needed.
 *
 * @returns whether there was memory for it
 */
export function reserveSlots(fieldCount: u32): bool {
  if (fieldCount <= capacity) return true;
  let wanted: u32 = 16;
  while (wanted < fieldCount) wanted <<= 1;
  const fresh = reserve(<u64>wanted * SLOT_BYTES);
  if (fresh == 0) return false;
  memory.fill(fresh, 0, <usize>(wanted * SLOT_BYTES));
  slots = fresh;
  capacity = wanted;
  return true;
}

/**
 * Voids all slots, for a new request.
 *
 * @param ruleset the block in force
 * @param records where its fields lie
 * @returns whether there are slots for so many
 */
export function beginSlots(ruleset: usize, records: usize, fieldCount: u32): bool {
  if (fieldCount > capacity) return false;
  block = ruleset;
  fields = records;
  last = 0;
  stamp++;
  // A slot of 2^32 requests ago must not look like one of this request.
  if (stamp == 0) {
    memory.fill(slots, 0, <usize>(capacity * SLOT_BYTES));
    stamp = 1;
  }
  return true;
}

/** @returns index + 1 of the field with this name, 0 for none */
export function fieldNamed(buckets: usize, name: usize, length: u32): u32 {
  if (length == 0) return 0;
  const bucket = nameBucket(length, load<u8>(name), load<u8>(name + (length >> 1)), load<u8>(name + length - 1));
  let field = load<u32>(buckets + bucket * 4);
  while (field != 0) {
    const record = fields + (field - 1) * FIELD_BYTES;
    if (load<u32>(record + FIELD_NAME_LENGTH) == length && same(block + load<u32>(record + FIELD_NAME), name, length)) return field;
    field = load<u32>(record + FIELD_NEXT);
  }
  return 0;
}

export function isFilled(field: u32): bool {
  return load<u32>(slots + field * SLOT_BYTES + SLOT_STAMP) == stamp;
}

export function valueIn(field: u32): usize {
  return load<u32>(slots + field * SLOT_BYTES + SLOT_VALUE);
}

export function lengthIn(field: u32): u32 {
  return load<u32>(slots + field * SLOT_BYTES + SLOT_LENGTH);
}

/** Index + 1 of the field that was filled last; 0 for none. */
export function lastFilled(): u32 {
  return last;
}

/** Index + 1 of the field that was filled before this one; 0 for none. */
export function filledBefore(field: u32): u32 {
  return load<u32>(slots + field * SLOT_BYTES + SLOT_PREVIOUS);
}

/** @returns whether the field had a value before, with which this one is to be joined */
export function fill(field: u32, value: usize, length: u32): bool {
  const slot = slots + field * SLOT_BYTES;
  if (load<u32>(slot + SLOT_STAMP) == stamp) {
    store<u32>(slot + SLOT_TIMES, load<u32>(slot + SLOT_TIMES) + 1);
    store<u32>(slot + SLOT_LENGTH, load<u32>(slot + SLOT_LENGTH) + 1 + length);
    return true;
  }
  store<u32>(slot + SLOT_STAMP, stamp);
  store<u32>(slot + SLOT_VALUE, <u32>value);
  store<u32>(slot + SLOT_LENGTH, length);
  store<u32>(slot + SLOT_TIMES, 1);
  store<u32>(slot + SLOT_PREVIOUS, last);
  last = field + 1;
  return false;
}

/** Gives each field that was sent several times room for one value. @returns false without memory */
export function beginJoining(): bool {
  for (let at = last; at != 0; at = filledBefore(at - 1)) {
    const slot = slots + (at - 1) * SLOT_BYTES;
    if (load<u32>(slot + SLOT_TIMES) == 1) continue;
    const joined = arenaAllocate(load<u32>(slot + SLOT_LENGTH));
    if (joined == 0) return false;
    store<u32>(slot + SLOT_VALUE, <u32>joined);
    store<u32>(slot + SLOT_FILL, 0);
  }
  return true;
}

/** Appends one of the values of a field that was sent several times, behind a `,`. */
export function join(field: u32, value: usize, length: u32): void {
  const slot = slots + field * SLOT_BYTES;
  if (load<u32>(slot + SLOT_TIMES) == 1) return;
  const filled = load<u32>(slot + SLOT_FILL);
  const joined: usize = load<u32>(slot + SLOT_VALUE);
  if (filled != 0) store<u8>(joined + filled - 1, 0x2c);
  memory.copy(joined + filled, value, length);
  // Counts the comma that comes behind this value, or would.
  store<u32>(slot + SLOT_FILL, filled + length + 1);
}
