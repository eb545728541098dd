import { base, inside, setBounds, size } from './bounds';
import { actionHolds } from './check-actions';
import { automataHold, conditionsHold } from './check-conditions';
import { adler32 } from './checksum';
import {
  CHECKSUM_FROM,
  FIELD_BYTES,
  FIELD_NAME,
  FIELD_NAME_LENGTH,
  FIELD_NEXT,
  FIELD_TRIE,
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

/** Why a block is refused; 0 is none. */
export const REFUSED_NOT: u32 = 0;
export const REFUSED_MAGIC: u32 = 1;
export const REFUSED_LAYOUT: u32 = 2;
export const REFUSED_LENGTH: u32 = 3;
export const REFUSED_CHECKSUM: u32 = 4;
export const REFUSED_STRUCTURE: u32 = 5;
export const REFUSED_TOO_LARGE: u32 = 6;

/** A reason in words, for the log and for `x-hfi-refused`. */
export function refusalText(reason: u32): string {
  if (reason == REFUSED_MAGIC) return 'not a ruleset';
  if (reason == REFUSED_LAYOUT) return 'layout version not known to this filter';
  if (reason == REFUSED_LENGTH) return 'received incompletely';
  if (reason == REFUSED_CHECKSUM) return 'checksum differs';
  if (reason == REFUSED_STRUCTURE) return 'damaged structure';
  return 'too large';
}

/** List entries that may still come: lists that don't overlap have no more, which bounds the check of those that do. */
let listBudget: u32 = 0;

/**
 * Checks a block completely, so that `match.ts` may read it unchecked: after `REFUSED_NOT` no offset leads out of it and no
 * walk through it is endless. Linear in the block's length.
 *
 * @param block where the bytes lie
 * @param length how many there are
 * @returns `REFUSED_NOT` or why it can't be used
 */
export function checkRuleset(block: usize, length: u32): u32 {
  if (length > MAX_RULESET_BYTES) return REFUSED_TOO_LARGE;
  if (length < HEADER_BYTES) return length < 4 || load<u32>(block + HEADER_MAGIC) == MAGIC ? REFUSED_LENGTH : REFUSED_MAGIC;
  if (load<u32>(block + HEADER_MAGIC) != MAGIC) return REFUSED_MAGIC;
  if (load<u32>(block + HEADER_LAYOUT) != LAYOUT_VERSION) return REFUSED_LAYOUT;
  if (load<u32>(block + HEADER_LENGTH) != length) return REFUSED_LENGTH;
  if (load<u32>(block + HEADER_CHECKSUM) != adler32(block + CHECKSUM_FROM, length - CHECKSUM_FROM)) return REFUSED_CHECKSUM;
  setBounds(block, length);
  if (!tableHolds(load<u32>(block + HEADER_INBOUND))) return REFUSED_STRUCTURE;
  if (!tableHolds(load<u32>(block + HEADER_OUTBOUND))) return REFUSED_STRUCTURE;
  return REFUSED_NOT;
}

function tableHolds(offset: u32): bool {
  if (!inside(offset, 1, TABLE_BYTES)) return false;
  const table = base + offset;
  const ruleCount = load<u32>(table + TABLE_RULE_COUNT);
  const fieldCount = load<u32>(table + TABLE_FIELD_COUNT);
  const nodeCount = load<u32>(table + TABLE_NODE_COUNT);
  if (!inside(load<u32>(table + TABLE_RULES), ruleCount, RULE_BYTES)) return false;
  if (fieldCount == 0 || !inside(load<u32>(table + TABLE_FIELDS), fieldCount, FIELD_BYTES)) return false;
  if (!inside(load<u32>(table + TABLE_NODES), nodeCount, NODE_BYTES)) return false;
  listBudget = size / 4;
  const query = load<u32>(table + TABLE_QUERY_BUCKETS);
  const cookies = load<u32>(table + TABLE_COOKIE_BUCKETS);
  if (load<u32>(table + TABLE_DERIVED) > fieldCount) return false;
  return (
    (query == 0 || bucketsHold(query, fieldCount)) &&
    (cookies == 0 || bucketsHold(cookies, fieldCount)) &&
    automataHold(load<u32>(table + TABLE_AUTOMATA)) &&
    listHolds(load<u32>(table + TABLE_ALWAYS), ruleCount) &&
    bucketsHold(load<u32>(table + TABLE_NAME_BUCKETS), fieldCount) &&
    fieldsHold(load<u32>(table + TABLE_FIELDS), fieldCount, nodeCount) &&
    nodesHold(load<u32>(table + TABLE_NODES), nodeCount, ruleCount) &&
    rulesHold(load<u32>(table + TABLE_RULES), ruleCount, fieldCount)
  );
}

function listHolds(offset: u32, ruleCount: u32): bool {
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

function bucketsHold(offset: u32, fieldCount: u32): bool {
  if (!inside(offset, NAME_BUCKETS, 4)) return false;
  for (let i: u32 = 0; i < NAME_BUCKETS; i++) {
    if (load<u32>(base + offset + i * 4) > fieldCount) return false;
  }
  return true;
}

function fieldsHold(offset: u32, fieldCount: u32, nodeCount: u32): bool {
  for (let i: u32 = 0; i < fieldCount; i++) {
    const field = base + offset + i * FIELD_BYTES;
    const next = load<u32>(field + FIELD_NEXT);
    if (!inside(load<u32>(field + FIELD_NAME), load<u32>(field + FIELD_NAME_LENGTH), 1)) return false;
    if (next != 0 && (next <= i + 1 || next > fieldCount)) return false;
    if (load<u32>(field + FIELD_TRIE) > nodeCount) return false;
  }
  return true;
}

function nodesHold(offset: u32, nodeCount: u32, ruleCount: u32): bool {
  for (let i: u32 = 0; i < nodeCount; i++) {
    const node = base + offset + i * NODE_BYTES;
    const exact = load<u32>(node + NODE_EXACT);
    const prefix = load<u32>(node + NODE_PREFIX);
    const children = load<u32>(node + NODE_CHILD_COUNT);
    const first = load<u32>(node + NODE_FIRST_CHILD);
    if (!inside(load<u32>(node + NODE_LABEL), load<u32>(node + NODE_LABEL_LENGTH), 1)) return false;
    if (exact != 0 && !listHolds(exact, ruleCount)) return false;
    if (prefix != 0 && !listHolds(prefix, ruleCount)) return false;
    if (children == 0) continue;
    if (children > 256 || first <= i || <u64>first + <u64>children > <u64>nodeCount) return false;
    if (!inside(load<u32>(node + NODE_FIRST_BYTES), children, 1)) return false;
  }
  return true;
}

function rulesHold(offset: u32, ruleCount: u32, fieldCount: u32): bool {
  for (let i: u32 = 0; i < ruleCount; i++) {
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
