import { base, inside, size } from './bounds';
import { actionHolds } from './check-actions';
import { automatonAtHolds, beginConditions, conditionsHold } from './check-conditions';
import {
  FIELD_BYTES,
  FIELD_NAME,
  FIELD_NAME_LENGTH,
  FIELD_NEXT,
  FIELD_TRIE,
  NAME_BUCKETS,
  NODE_BYTES,
  NODE_CHILD_COUNT,
  NODE_EXACT,
  NODE_FIRST_BYTES,
  NODE_FIRST_CHILD,
  NODE_LABEL,
  NODE_LABEL_LENGTH,
  NODE_PREFIX,
  RAMP_BYTES,
  RULE_ACTION,
  RULE_ACTION_LENGTH,
  RULE_BYTES,
  RULE_CONDITION_COUNT,
  RULE_CONDITIONS,
  RULE_NAME,
  RULE_RAMP,
  RULE_STICKY,
  RULE_TURNS,
  TABLE_ALWAYS,
  TABLE_AUTOMATA,
  TABLE_BYTES,
  TABLE_COOKIE_BUCKETS,
  TABLE_DERIVED,
  TABLE_FIELD_COUNT,
  TABLE_FIELDS,
  TABLE_NAME_BUCKETS,
  TABLE_NODE_COUNT,
  TABLE_NODES,
  TABLE_QUERY_BUCKETS,
  TABLE_RULE_COUNT,
  TABLE_RULES,
  TURNS_BYTES,
  TURNS_SEQUENCE,
  TURNS_SEQUENCE_LENGTH,
} from './layout';

/** Checking one of a ruleset's tables, a piece at a time: a large one takes longer than a worker may be kept from its requests. */

export const BROKEN: u32 = 0;
/** The pieces so far hold, and there are more. */
export const GOES_ON: u32 = 1;
export const WHOLE: u32 = 2;

/** Records in a piece. */
const PIECE: u32 = 512;

const AUTOMATA: u32 = 0;
const FIELDS: u32 = 1;
const NODES: u32 = 2;
const RULES: u32 = 3;

let table: usize = 0;
let ruleCount: u32 = 0;
let fieldCount: u32 = 0;
let nodeCount: u32 = 0;
/** What is checked next: which records, from which on. */
let part: u32 = AUTOMATA;
let next: u32 = 0;
/** List entries that may still come: lists that don't overlap have no more, which bounds the check of those that do. */
let listBudget: u32 = 0;

/** Begins with the table at `offset`: what is bounded, at once. @returns whether it holds so far */
export function beginTable(offset: u32): bool {
  if (!inside(offset, 1, TABLE_BYTES)) return false;
  table = base + offset;
  ruleCount = load<u32>(table + TABLE_RULE_COUNT);
  fieldCount = load<u32>(table + TABLE_FIELD_COUNT);
  nodeCount = load<u32>(table + TABLE_NODE_COUNT);
  if (!inside(load<u32>(table + TABLE_RULES), ruleCount, RULE_BYTES)) return false;
  if (fieldCount == 0 || !inside(load<u32>(table + TABLE_FIELDS), fieldCount, FIELD_BYTES)) return false;
  if (!inside(load<u32>(table + TABLE_NODES), nodeCount, NODE_BYTES)) return false;
  listBudget = size / 4;
  part = AUTOMATA;
  next = 0;
  const query = load<u32>(table + TABLE_QUERY_BUCKETS);
  const cookies = load<u32>(table + TABLE_COOKIE_BUCKETS);
  return (
    load<u32>(table + TABLE_DERIVED) <= fieldCount &&
    (query == 0 || bucketsHold(query)) &&
    (cookies == 0 || bucketsHold(cookies)) &&
    bucketsHold(load<u32>(table + TABLE_NAME_BUCKETS)) &&
    beginConditions(load<u32>(table + TABLE_AUTOMATA)) &&
    listHolds(load<u32>(table + TABLE_ALWAYS))
  );
}

/** Checks one piece more. @returns `BROKEN`, `GOES_ON` or `WHOLE` */
export function checkTable(): u32 {
  const count =
    part == AUTOMATA
      ? load<u32>(base + load<u32>(table + TABLE_AUTOMATA))
      : part == FIELDS
        ? fieldCount
        : part == NODES
          ? nodeCount
          : ruleCount;
  // An automaton may be as long as many other records.
  const end = min<u32>(count, next + (part == AUTOMATA ? 1 : PIECE));
  if (!pieceHolds(next, end)) return BROKEN;
  next = end;
  if (end < count) return GOES_ON;
  if (part == RULES) return WHOLE;
  part++;
  next = 0;
  return GOES_ON;
}

function pieceHolds(first: u32, end: u32): bool {
  if (part == AUTOMATA) return first == end || automatonAtHolds(first);
  if (part == FIELDS) return fieldsHold(load<u32>(table + TABLE_FIELDS), first, end);
  if (part == NODES) return nodesHold(load<u32>(table + TABLE_NODES), first, end);
  return rulesHold(load<u32>(table + TABLE_RULES), first, end);
}

function listHolds(offset: u32): bool {
  if (!inside(offset, 1, 4)) return false;
  const count = load<u32>(base + offset);
  if (count > listBudget || !inside(offset, count + 1, 4)) return false;
  listBudget -= count;
  let before: i64 = -1;
  for (let i: u32 = 0; i < count; i++) {
    const index = load<u32>(base + offset + 4 + i * 4);
    if (index >= ruleCount || <i64>index <= before) return false;
    before = index;
  }
  return true;
}

function bucketsHold(offset: u32): bool {
  if (!inside(offset, NAME_BUCKETS, 4)) return false;
  for (let i: u32 = 0; i < NAME_BUCKETS; i++) {
    if (load<u32>(base + offset + i * 4) > fieldCount) return false;
  }
  return true;
}

function fieldsHold(offset: u32, first: u32, end: u32): bool {
  for (let i = first; i < end; i++) {
    const field = base + offset + i * FIELD_BYTES;
    const next = load<u32>(field + FIELD_NEXT);
    if (!inside(load<u32>(field + FIELD_NAME), load<u32>(field + FIELD_NAME_LENGTH), 1)) return false;
    if (next != 0 && (next <= i + 1 || next > fieldCount)) return false;
    if (load<u32>(field + FIELD_TRIE) > nodeCount) return false;
  }
  return true;
}

function nodesHold(offset: u32, first: u32, end: u32): bool {
  for (let i = first; i < end; i++) {
    const node = base + offset + i * NODE_BYTES;
    const exact = load<u32>(node + NODE_EXACT);
    const prefix = load<u32>(node + NODE_PREFIX);
    const children = load<u32>(node + NODE_CHILD_COUNT);
    const child = load<u32>(node + NODE_FIRST_CHILD);
    if (!inside(load<u32>(node + NODE_LABEL), load<u32>(node + NODE_LABEL_LENGTH), 1)) return false;
    if (exact != 0 && !listHolds(exact)) return false;
    if (prefix != 0 && !listHolds(prefix)) return false;
    if (children == 0) continue;
    if (children > 256 || child <= i || <u64>child + <u64>children > <u64>nodeCount) return false;
    if (!inside(load<u32>(node + NODE_FIRST_BYTES), children, 1)) return false;
  }
  return true;
}

function rulesHold(offset: u32, first: u32, end: u32): bool {
  for (let i = first; i < end; i++) {
    const rule = base + offset + i * RULE_BYTES;
    const ramp = load<u32>(rule + RULE_RAMP);
    const turns = load<u32>(rule + RULE_TURNS);
    if (load<u32>(rule + RULE_STICKY) > fieldCount) return false;
    const name = load<u32>(rule + RULE_NAME);
    if ((name >> 8) + (name & 0xff) > load<u32>(rule + RULE_ACTION_LENGTH)) return false;
    if (ramp != 0 && !inside(ramp, 1, RAMP_BYTES)) return false;
    if (turns != 0 && !turnsHold(turns)) return false;
    if (!actionHolds(load<u32>(rule + RULE_ACTION), load<u32>(rule + RULE_ACTION_LENGTH))) return false;
    if (!conditionsHold(load<u32>(rule + RULE_CONDITIONS), load<u16>(rule + RULE_CONDITION_COUNT), fieldCount)) return false;
  }
  return true;
}

function turnsHold(offset: u32): bool {
  if (!inside(offset, 1, TURNS_BYTES)) return false;
  const turns = base + offset;
  return inside(load<u32>(turns + TURNS_SEQUENCE), load<u32>(turns + TURNS_SEQUENCE_LENGTH), 1);
}
