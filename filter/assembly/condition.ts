import { accepts } from './automaton';
import {
  CONDITION_BYTES,
  CONDITION_FIELD,
  CONDITION_OPERATION,
  CONDITION_VALUE,
  CONDITION_VALUE_LENGTH,
  GROUP_BYTES,
  GROUP_CONDITION_COUNT,
  GROUP_CONDITIONS,
  OPERATION_ANY_OF,
  OPERATION_CONTAINS,
  OPERATION_EXACT,
  OPERATION_IGNORE_CASE,
  OPERATION_MASK,
  OPERATION_NOT,
  OPERATION_PREFIX,
  OPERATION_PRESENT,
  OPERATION_REGEX,
} from './layout';
import { isFilled, lengthIn, valueIn } from './slots';
import { same, sameInAnyCase } from './text';

/** Whether all of `count` conditions hold for the present request. The depth of groups was checked with the ruleset. */
export function allHold(block: usize, conditions: usize, count: u32): bool {
  const end = conditions + count * CONDITION_BYTES;
  for (let condition = conditions; condition < end; condition += CONDITION_BYTES) {
    const operation = load<u32>(condition + CONDITION_OPERATION);
    const wanted = (operation & OPERATION_NOT) == 0;
    if (holds(block, condition, operation) != wanted) return false;
  }
  return true;
}

function holds(block: usize, condition: usize, flagged: u32): bool {
  const operation = flagged & OPERATION_MASK;
  const wanted = block + load<u32>(condition + CONDITION_VALUE);
  const wantedLength = load<u32>(condition + CONDITION_VALUE_LENGTH);
  if (operation == OPERATION_ANY_OF) return anyHolds(block, wanted, wantedLength);
  const field = load<u32>(condition + CONDITION_FIELD);
  if (!isFilled(field)) return false;
  if (operation == OPERATION_PRESENT) return true;
  const value = valueIn(field);
  const length = lengthIn(field);
  if (operation == OPERATION_REGEX) return accepts(block, wanted, value, length);
  if (length < wantedLength) return false;
  const anyCase = (flagged & OPERATION_IGNORE_CASE) != 0;
  if (operation == OPERATION_EXACT) return length == wantedLength && equal(anyCase, wanted, value, length);
  if (operation == OPERATION_PREFIX) return equal(anyCase, wanted, value, wantedLength);
  if (operation == OPERATION_CONTAINS) return contains(anyCase, wanted, wantedLength, value, length);
  return equal(anyCase, wanted, value + length - wantedLength, wantedLength);
}

function anyHolds(block: usize, groups: usize, count: u32): bool {
  const end = groups + count * GROUP_BYTES;
  for (let group = groups; group < end; group += GROUP_BYTES) {
    if (allHold(block, block + load<u32>(group + GROUP_CONDITIONS), load<u32>(group + GROUP_CONDITION_COUNT))) return true;
  }
  return false;
}

function equal(anyCase: bool, wanted: usize, value: usize, length: u32): bool {
  return anyCase ? sameInAnyCase(wanted, value, length) : same(wanted, value, length);
}

function contains(anyCase: bool, wanted: usize, wantedLength: u32, value: usize, length: u32): bool {
  for (let at: u32 = 0; at <= length - wantedLength; at++) {
    if (equal(anyCase, wanted, value + at, wantedLength)) return true;
  }
  return false;
}
