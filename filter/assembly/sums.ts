import { idAt, idCount, listIds, readAt, readCount, readRecords } from './shared-tallies';
import { addTally, clearTally, totalOfTally } from './tally-arithmetic';
import { KEY_UNASKED, KEY_UNCOUNTED, TALLY_BYTES, TALLY_KEY, TALLY_REST } from './tally-layout';
import { capacityOf, countOf, enlarge, find, findOrAdd, indexAll, MOST_RECORDS, recordsOf, takeOff } from './tally-table';

/**
 * What all VMs of this Envoy have counted, by rule, as the elected one adds it up. In the rest of a record stands how much of it, all
 * counters together, the control plane has acknowledged.
 */
const FIRST_RECORDS: u32 = 64;
const ACKNOWLEDGED: u32 = TALLY_REST;
/** The records of no rule come first and stay. */
const OF_NO_RULE: u32 = 2;

const table: usize = memory.data(16, 8);

export function sumCount(): u32 {
  return countOf(table);
}

export function sumAt(index: u32): usize {
  return recordsOf(table) + index * TALLY_BYTES;
}

/** Reads what all VMs have published. @returns false without memory */
export function sumUp(): bool {
  if (capacityOf(table) == 0 && !enlarge(table, FIRST_RECORDS)) return false;
  findOrAdd(table, KEY_UNASKED);
  findOrAdd(table, KEY_UNCOUNTED);
  for (let i: u32 = 0; i < countOf(table); i++) clearTally(sumAt(i));
  if (!listIds()) return false;
  for (let i: u32 = 0; i < idCount; i++) if (readRecords(idAt(i))) add();
  forget();
  return true;
}

function add(): void {
  for (let i: u32 = 0; i < readCount; i++) {
    const from = readAt + i * TALLY_BYTES;
    if (countOf(table) == capacityOf(table)) grow();
    const to = findOrAdd(table, load<u64>(from + TALLY_KEY));
    addTally(to == 0 ? sumAt(KEY_UNCOUNTED) : to, from);
  }
}

/** VMs together can have more rules than each alone. */
function grow(): void {
  if (capacityOf(table) < MOST_RECORDS * 2) enlarge(table, capacityOf(table) * 2);
}

/** Takes off what no VM keeps any longer. */
function forget(): void {
  let any = false;
  for (let i = countOf(table); i > OF_NO_RULE; i--) {
    if (totalOfTally(sumAt(i - 1)) != 0) continue;
    takeOff(table, sumAt(i - 1));
    any = true;
  }
  if (any) indexAll(table);
}

/** Whether it is more than what was acknowledged. */
export function isNew(record: usize): bool {
  return totalOfTally(record) > load<u64>(record + ACKNOWLEDGED);
}

/** @param total of all counters of the rule that the control plane has now */
export function acknowledge(key: u64, total: u64): void {
  const record = find(table, key);
  if (record != 0) store<u64>(record + ACKNOWLEDGED, total);
}

/** How often `forgetAcknowledged` was called. */
export let forgotten: u32 = 0;

/** The control plane may not have what it acknowledged: all is new again. */
export function forgetAcknowledged(): void {
  forgotten++;
  for (let i: u32 = 0; i < countOf(table); i++) store<u64>(sumAt(i) + ACKNOWLEDGED, 0);
}
