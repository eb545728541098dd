import { resultAt, resultLength, setSharedData, sharedCas, sharedData } from './host';
import { block } from './in-force';
import {
  ACTION_KEY,
  FLAG_COUNTED,
  RULE_ACTION,
  RULE_BYTES,
  RULE_FLAGS,
  RULE_TURNS,
  TABLE_RULES,
  TURNS_AFTER,
  TURNS_EVERY,
  TURNS_LIMIT,
  TURNS_SEQUENCE,
  TURNS_SEQUENCE_LENGTH,
} from './layout';
import { SKIPPED_LIMIT, SKIPPED_TURN } from './tally-layout';
import { addAscii, addHex, beginText, textLength, textStart } from './text';

/**
 * What is counted of a rule's matches, over all VMs of this Envoy: shared data under the rule's key, so that other policies may change
 * meanwhile.
 */
const MATCHES: u32 = 0;
const INJECTIONS: u32 = 4;
const VALUE_BYTES: u32 = 8;
/** Workers that count at the same moment try again; more often than that they don't collide. */
const ATTEMPTS: i32 = 64;

const value: usize = memory.data(8, 8);

export function isCounted(rule: usize): bool {
  return (load<u16>(rule + RULE_FLAGS) & FLAG_COUNTED) != 0;
}

/**
 * Founds the numbers of a table's rules, which the elected VM does before any other one has the ruleset: the host has no change number for what
 * isn't there, so of two VMs that founded them with their first matches the second would write over what the first had counted.
 */
export function foundNumbers(table: usize, rules: u32): void {
  const first = block + load<u32>(table + TABLE_RULES);
  for (let i: u32 = 0; i < rules; i++) {
    const rule = first + i * RULE_BYTES;
    if (isCounted(rule) && read(rule) == 0) write(0);
  }
}

/** Counts a match of a rule in force. @returns 0 when it is the turn of this one, else what it is skipped as */
export function skippedByTurn(rule: usize): u32 {
  const counts = block + load<u32>(rule + RULE_TURNS);
  for (let i = 0; i < ATTEMPTS; i++) {
    const cas = read(rule);
    if (load<u32>(value + INJECTIONS) >= load<u32>(counts + TURNS_LIMIT)) return SKIPPED_LIMIT;
    const number = load<u32>(value + MATCHES) + 1;
    store<u32>(value + MATCHES, number);
    if (write(cas)) return isTurn(counts, number) ? 0 : SKIPPED_TURN;
  }
  return SKIPPED_TURN;
}

/** Counts an injection. @returns false when the rule has had all that it may have */
export function takesInjection(rule: usize): bool {
  const limit = load<u32>(block + load<u32>(rule + RULE_TURNS) + TURNS_LIMIT);
  if (limit == 0xffffffff) return true;
  for (let i = 0; i < ATTEMPTS; i++) {
    const cas = read(rule);
    const number = load<u32>(value + INJECTIONS);
    if (number >= limit) return false;
    store<u32>(value + INJECTIONS, number + 1);
    if (write(cas)) return true;
  }
  return false;
}

/** @param number the match's, from 1 on */
function isTurn(counts: usize, number: u32): bool {
  const after = load<u32>(counts + TURNS_AFTER);
  if (number <= after) return false;
  const every = max<u32>(load<u32>(counts + TURNS_EVERY), 1);
  if ((number - after) % every != 0) return false;
  const length = load<u32>(counts + TURNS_SEQUENCE_LENGTH);
  if (length == 0) return true;
  const place = ((number - after) / every - 1) % length;
  return load<u8>(block + load<u32>(counts + TURNS_SEQUENCE) + place) == 1;
}

/** Reads the rule's numbers into `value`, and leaves its key as the text. @returns the change number */
function read(rule: usize): u32 {
  beginText();
  addAscii('hfi/n/');
  addHex(load<u64>(block + load<u32>(rule + RULE_ACTION) + ACTION_KEY));
  if (sharedData(textStart(), textLength()) && resultLength == VALUE_BYTES) {
    store<u64>(value, load<u64>(resultAt));
    return sharedCas;
  }
  store<u64>(value, 0);
  return 0;
}

function write(cas: u32): bool {
  return setSharedData(textStart(), textLength(), value, VALUE_BYTES, cas);
}
