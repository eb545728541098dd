import { base, inside, size } from './bounds';
import {
  AUTOMATON_ACCEPTING,
  AUTOMATON_BYTES,
  AUTOMATON_CLASS_COUNT,
  AUTOMATON_CLASSES,
  AUTOMATON_NEXT,
  AUTOMATON_START,
  AUTOMATON_STATE_COUNT,
  CONDITION_BYTES,
  CONDITION_FIELD,
  CONDITION_OPERATION,
  CONDITION_VALUE,
  CONDITION_VALUE_LENGTH,
  GROUP_BYTES,
  GROUP_CONDITION_COUNT,
  GROUP_CONDITIONS,
  MAX_GROUP_DEPTH,
  OPERATION_ANY_OF,
  OPERATION_EXACT,
  OPERATION_IGNORE_CASE,
  OPERATION_MASK,
  OPERATION_NOT,
  OPERATION_PRESENT,
  OPERATION_REGEX,
} from './layout';

/** Conditions and groups that may still come, bounding the check of overlapping ones; and with it what a request can cost. */
let budget: u32 = 0;
/** The table's list of automata, whose entries are found sound before any condition is looked at. */
let automata: u32 = 0;

/** Bytes of automata that may still come: those that overlap could make the check long. */
let automataBudget: u32 = 0;

/** Begins the check of a table's conditions. @param list offset of the list of automata, each of which is checked once, however many conditions share it */
export function beginConditions(list: u32): bool {
  budget = size / GROUP_BYTES;
  automata = list;
  automataBudget = size;
  return inside(list, 1, 4) && inside(list + 4, load<u32>(base + list), 4);
}

/** Checks the automaton that stands at a place of the list. */
export function automatonAtHolds(place: u32): bool {
  const offset = load<u32>(base + automata + 4 + place * 4);
  if (!automatonHolds(offset)) return false;
  const automaton = base + offset;
  const bytes = AUTOMATON_BYTES + load<u32>(automaton + AUTOMATON_STATE_COUNT) * load<u32>(automaton + AUTOMATON_CLASS_COUNT) * 2;
  if (bytes > automataBudget) return false;
  automataBudget -= bytes;
  return true;
}

export function conditionsHold(offset: u32, count: u32, fieldCount: u32, depth: u32 = 0): bool {
  if (count > budget || !inside(offset, count, CONDITION_BYTES)) return false;
  budget -= count;
  for (let i: u32 = 0; i < count; i++) {
    if (!conditionHolds(base + offset + i * CONDITION_BYTES, fieldCount, depth)) return false;
  }
  return true;
}

function conditionHolds(condition: usize, fieldCount: u32, depth: u32): bool {
  const flagged = load<u32>(condition + CONDITION_OPERATION);
  const operation = flagged & OPERATION_MASK;
  const value = load<u32>(condition + CONDITION_VALUE);
  const length = load<u32>(condition + CONDITION_VALUE_LENGTH);
  if ((flagged & ~(OPERATION_MASK | OPERATION_IGNORE_CASE | OPERATION_NOT)) != 0) return false;
  if (operation == OPERATION_ANY_OF) return groupsHold(value, length, fieldCount, depth + 1);
  if (operation < OPERATION_EXACT || operation > OPERATION_PRESENT) return false;
  if (load<u32>(condition + CONDITION_FIELD) >= fieldCount) return false;
  if (operation == OPERATION_REGEX) return length < load<u32>(base + automata) && load<u32>(base + automata + 4 + length * 4) == value;
  return inside(value, length, 1);
}

function groupsHold(offset: u32, count: u32, fieldCount: u32, depth: u32): bool {
  if (depth > MAX_GROUP_DEPTH || count > budget || !inside(offset, count, GROUP_BYTES)) return false;
  budget -= count;
  for (let i: u32 = 0; i < count; i++) {
    const group = base + offset + i * GROUP_BYTES;
    if (!conditionsHold(load<u32>(group + GROUP_CONDITIONS), load<u32>(group + GROUP_CONDITION_COUNT), fieldCount, depth)) return false;
  }
  return true;
}

function automatonHolds(offset: u32): bool {
  if (!inside(offset, 1, AUTOMATON_BYTES)) return false;
  const automaton = base + offset;
  const classCount = load<u32>(automaton + AUTOMATON_CLASS_COUNT);
  const stateCount = load<u32>(automaton + AUTOMATON_STATE_COUNT);
  const next = load<u32>(automaton + AUTOMATON_NEXT);
  if (classCount == 0 || classCount > 256 || stateCount == 0 || stateCount > 0xffff) return false;
  const count = stateCount * classCount;
  if (!inside(next, count, 2) || (next & 1) != 0 || !inside(load<u32>(automaton + AUTOMATON_ACCEPTING), stateCount, 1)) return false;
  if (load<u32>(automaton + AUTOMATON_START) >= stateCount) return false;
  for (let i: u32 = 0; i < 256; i++) {
    if (<u32>load<u8>(automaton + AUTOMATON_CLASSES + i) >= classCount) return false;
  }
  for (let i: u32 = 0; i < count; i++) {
    if (<u32>load<u16>(base + next + i * 2) >= stateCount) return false;
  }
  return true;
}
