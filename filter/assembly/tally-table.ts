import { reserve } from './arena';
import { TALLY_BYTES, TALLY_KEY } from './tally-layout';

/**
 * Records of `tally-layout.ts`, found by their key: side by side, with a hash index beside them, so that all of them can be handed
 * to the host as they lie.
 *
 * ```
 * a table's handle:  records | capacity | count | index
 * index:             2 x capacity u16, a record's number + 1, 0 = none
 * ```
 */
export const HANDLE_BYTES: u32 = 16;
const RECORDS: u32 = 0;
const CAPACITY: u32 = 4;
const COUNT: u32 = 8;
const INDEX: u32 = 12;

/** Free in front of the records, for a heading. */
export const HEADING_BYTES: u32 = 16;
/** Records at most: numbers fit into the index. */
export const MOST_RECORDS: u32 = 16_384;

export function recordsOf(table: usize): usize {
  return load<u32>(table + RECORDS);
}

export function countOf(table: usize): u32 {
  return load<u32>(table + COUNT);
}

export function capacityOf(table: usize): u32 {
  return load<u32>(table + CAPACITY);
}

/** Makes room for so many records, a power of two. @returns false without memory; then the table is as it was */
export function enlarge(table: usize, capacity: u32): bool {
  const records = reserve(HEADING_BYTES + <u64>capacity * TALLY_BYTES);
  const index = reserve(<u64>capacity * 4);
  if (records == 0 || index == 0) return false;
  memory.copy(records + HEADING_BYTES, recordsOf(table), countOf(table) * TALLY_BYTES);
  store<u32>(table + RECORDS, <u32>records + HEADING_BYTES);
  store<u32>(table + CAPACITY, capacity);
  store<u32>(table + INDEX, <u32>index);
  indexAll(table);
  return true;
}

/** @returns the record with this key, or 0 */
export function find(table: usize, key: u64): usize {
  const index: usize = load<u32>(table + INDEX);
  const records: usize = load<u32>(table + RECORDS);
  const mask = load<u32>(table + CAPACITY) * 2 - 1;
  let place = <u32>key & mask;
  while (true) {
    const number = <u32>load<u16>(index + place * 2);
    if (number == 0) return 0;
    const record = records + (number - 1) * TALLY_BYTES;
    if (load<u64>(record + TALLY_KEY) == key) return record;
    place = (place + 1) & mask;
  }
}

/** @returns the record with this key, a new one if need be; 0 when there is no room */
export function findOrAdd(table: usize, key: u64): usize {
  const found = find(table, key);
  if (found != 0) return found;
  const count = countOf(table);
  if (count == capacityOf(table)) return 0;
  const record = recordsOf(table) + count * TALLY_BYTES;
  memory.fill(record, 0, TALLY_BYTES);
  store<u64>(record + TALLY_KEY, key);
  store<u32>(table + COUNT, count + 1);
  enter(table, key, count + 1);
  return record;
}

/** Takes records off, any number of them between two calls of `indexAll`, without which nothing is found afterwards. The last one comes in its place. */
export function takeOff(table: usize, record: usize): void {
  const count = countOf(table) - 1;
  const last = recordsOf(table) + count * TALLY_BYTES;
  if (record != last) memory.copy(record, last, TALLY_BYTES);
  store<u32>(table + COUNT, count);
}

/** Takes all records off. */
export function empty(table: usize): void {
  store<u32>(table + COUNT, 0);
  indexAll(table);
}

export function indexAll(table: usize): void {
  memory.fill(load<u32>(table + INDEX), 0, capacityOf(table) * 4);
  const count = countOf(table);
  for (let i: u32 = 0; i < count; i++) enter(table, load<u64>(recordsOf(table) + i * TALLY_BYTES + TALLY_KEY), i + 1);
}

function enter(table: usize, key: u64, number: u32): void {
  const index: usize = load<u32>(table + INDEX);
  const mask = capacityOf(table) * 2 - 1;
  let place = <u32>key & mask;
  while (load<u16>(index + place * 2) != 0) place = (place + 1) & mask;
  store<u16>(index + place * 2, <u16>number);
}
