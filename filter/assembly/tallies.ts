import { monotonicNs, NS_PER_MS } from './clock';
import { block, inboundRules, inboundTable, outboundRules, outboundTable } from './in-force';
import { KEPT_COUNT, keptAction, keptInUse } from './kept';
import { ACTION_KEY, RULE_ACTION, RULE_BYTES, TABLE_RULES } from './layout';
import {
  acknowledgedUntil,
  idAt,
  idCount,
  listIds,
  newTallyId,
  publishRecords,
  readAt,
  readCount,
  readLeft,
  readRecords,
  strike,
  takeOver,
} from './shared-tallies';
import { addTally } from './tally-arithmetic';
import { KEY_UNASKED, KEY_UNCOUNTED, SKIPPED_DICE, TALLY_BYTES, TALLY_KEY, TALLY_REST } from './tally-layout';
import { capacityOf, countOf, empty, enlarge, find, findOrAdd, indexAll, MOST_RECORDS, recordsOf, takeOff } from './tally-table';

/**
 * What this VM has counted since its start, by rule. Counting is an addition in the VM's own memory; once a second the whole is put
 * where the elected VM finds it. Room is looked for only when a rule is counted for the first time.
 *
 * In the rest of a record stand the second in which it was counted up last, or in which a request was in need of it, and a mark.
 *
 * A record is let go when nobody counts it up any more. The numbers of all VMs are told as one sum, which must not become smaller while
 * another VM still adds to it: so all VMs' records must be quiet, for much longer than VMs differ in when they take a ruleset and put
 * down what they counted.
 */
const FIRST_RECORDS: u32 = 64;
/** In seconds. */
const QUIET: u32 = 60;
const LET_GO_EVERY: u32 = 10;
const NS_PER_SECOND: u64 = 1000 * NS_PER_MS;
const SECOND: u32 = TALLY_REST;
const MARK: u32 = TALLY_REST + 4;
/** The records of no rule come first and stay. */
const OF_NO_RULE: u32 = 2;

const table: usize = memory.data(16, 8);
/** Of the monotonic clock, which all VMs share, as of the last time that this VM put down what it counted. */
let second: u32 = 0;
let published = false;
let mark: u32 = 0;
let letGoIn: u32 = 0;
let changed = false;

/** Makes room for the records of no rule and some others. Called when configured, before anything is counted. */
export function reserveTallies(): void {
  if (capacityOf(table) != 0 || !enlarge(table, FIRST_RECORDS)) return;
  findOrAdd(table, KEY_UNASKED);
  findOrAdd(table, KEY_UNCOUNTED);
}

/** Counts what became of a request that a rule's match fits. */
export function countRule(rule: usize, counter: u32): void {
  count(block + load<u32>(rule + RULE_ACTION), counter);
}

/** The same by the rule's action, which may be a copy that outlived its ruleset. */
export function count(action: usize, counter: u32): void {
  if (capacityOf(table) == 0) return;
  const key = load<u64>(action + ACTION_KEY);
  let record = findOrAdd(table, key);
  if (record == 0) record = makeRoom(1) ? findOrAdd(table, key) : recordsOf(table) + TALLY_BYTES * KEY_UNCOUNTED;
  store<u64>(record + counter, load<u64>(record + counter) + 1);
  store<u32>(record + SECOND, second);
  changed = true;
}

/** Counts a request that lost the dice before any of its headers was read. */
export function countUnasked(): void {
  const record = recordsOf(table);
  if (record == 0) return;
  store<u64>(record + SKIPPED_DICE, load<u64>(record + SKIPPED_DICE) + 1);
  changed = true;
}

/** @returns whether there is room for so many more records */
function makeRoom(more: u32): bool {
  const needed = countOf(table) + more;
  let capacity = capacityOf(table);
  while (capacity < needed && capacity < MOST_RECORDS) capacity *= 2;
  if (capacity > capacityOf(table)) enlarge(table, capacity);
  return needed <= capacityOf(table);
}

/** Takes off what the control plane has and what can't be counted up any more: of rules neither in force nor being done to a request. */
function letGo(): void {
  letGoIn = second;
  const through = <u32>(acknowledgedUntil() / NS_PER_SECOND);
  if (countOf(table) <= FIRST_RECORDS / 2 || through <= QUIET || !listIds()) return;
  mark++;
  markRules(inboundTable, inboundRules);
  markRules(outboundTable, outboundRules);
  for (let i: u32 = 0; i < idCount; i++) if (readRecords(idAt(i))) markUnquiet(through - QUIET);
  for (let i = countOf(table); i > OF_NO_RULE; i--) {
    const record = recordsOf(table) + (i - 1) * TALLY_BYTES;
    if (load<u32>(record + MARK) != mark && load<u32>(record + SECOND) < through - QUIET) takeOff(table, record);
  }
  indexAll(table);
}

function markUnquiet(since: u32): void {
  for (let i: u32 = 0; i < readCount; i++) {
    const record = readAt + i * TALLY_BYTES;
    if (load<u32>(record + SECOND) >= since) markKey(load<u64>(record + TALLY_KEY));
  }
}

function markRules(rulesTable: usize, rules: u32): void {
  if (rules == 0) return;
  const first = block + load<u32>(rulesTable + TABLE_RULES);
  for (let i: u32 = 0; i < rules; i++) markKey(load<u64>(block + load<u32>(first + i * RULE_BYTES + RULE_ACTION) + ACTION_KEY));
}

function markKey(key: u64): void {
  const record = find(table, key);
  if (record != 0) store<u32>(record + MARK, mark);
}

/** Puts the counts where the elected VM finds them, if there are new ones. @param left whether this VM goes, and counts no more */
export function publishTallies(left: bool): void {
  second = <u32>(monotonicNs() / NS_PER_SECOND);
  for (let i: u32 = 0; i < KEPT_COUNT; i++) if (keptInUse(i)) touch(load<u64>(keptAction(i) + ACTION_KEY));
  if (second - letGoIn >= LET_GO_EVERY) letGo();
  if (!changed && !(left && published)) return;
  if (!publishRecords(recordsOf(table), countOf(table), left)) return;
  changed = false;
  published = true;
  if (left) beginAnew();
}

/** A request may still count it up: others see that it isn't quiet. */
function touch(key: u64): void {
  const record = find(table, key);
  if (record == 0 || load<u32>(record + SECOND) == second) return;
  store<u32>(record + SECOND, second);
  changed = true;
}

/** What was counted belongs to others now. A VM that is used again after all counts from nothing, under another name. */
function beginAnew(): void {
  newTallyId();
  empty(table);
  published = false;
  findOrAdd(table, KEY_UNASKED);
  findOrAdd(table, KEY_UNCOUNTED);
}

function roomFor(more: u32): bool {
  return countOf(table) + more <= capacityOf(table) || makeRoom(more);
}

/** So many VMs are added up as they are. */
const MANY_VMS: u32 = 16;

/** Keeps the list of VMs short: takes over what one that left had counted. Only the elected VM does. */
export function takeOverOne(): void {
  if (!listIds() || idCount <= MANY_VMS) return;
  for (let i: u32 = 0; i < idCount; i++) {
    const id = idAt(i);
    if (!readRecords(id) || !readLeft || !roomFor(readCount) || !takeOver(id)) continue;
    for (let k: u32 = 0; k < readCount; k++) {
      const from = readAt + k * TALLY_BYTES;
      const to = findOrAdd(table, load<u64>(from + TALLY_KEY));
      addTally(to, from);
      store<u32>(to + SECOND, second);
    }
    changed = true;
    publishTallies(false);
    strike(id);
    return;
  }
}
