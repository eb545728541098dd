import { nowMs } from './clock';
import { beginClosed, countClosed, noteClosed } from './closed';
import { allHold } from './condition';
import { fillCookies } from './cookies';
import { fillDerived } from './derived';
import {
  FIELD_BYTES,
  FIELD_PATH,
  FIELD_TRIE,
  FLAG_PROBES,
  NODE_BYTES,
  NODE_CHILD_COUNT,
  NODE_EXACT,
  NODE_FIRST_BYTES,
  NODE_FIRST_CHILD,
  NODE_LABEL,
  NODE_LABEL_LENGTH,
  NODE_PREFIX,
  RULE_BYTES,
  RULE_CONDITION_COUNT,
  RULE_CONDITIONS,
  RULE_END,
  RULE_FLAGS,
  RULE_TURNS,
  TABLE_ALWAYS,
  TABLE_COOKIE_BUCKETS,
  TABLE_DERIVED,
  TABLE_FIELD_COUNT,
  TABLE_FIELDS,
  TABLE_NAME_BUCKETS,
  TABLE_NODES,
  TABLE_QUERY_BUCKETS,
  TABLE_RULES,
  TURNS_START,
} from './layout';
import { hasProbeAgent } from './probe';
import { fillQuery } from './query';
import { beginJoining, beginSlots, fieldNamed, fill, filledBefore, isFilled, join, lastFilled, lengthIn, valueIn } from './slots';
import { same } from './text';

/**
 * Finds the rule that decides a request, reading the headers where the host put them: `count`, then `count` pairs of name and
 * value length, then the bytes, each name and value ended by a zero (proxy-wasm `proxy_get_header_map_pairs`). Names are in
 * lower case, as Envoy keeps them.
 *
 * The module's variables are the state of one call; nothing outlives it but the slots' memory.
 */

const NO_RULE: u32 = 0xffffffff;

const UNKNOWN: u32 = 0;
const PROBE: u32 = 1;
const NO_PROBE: u32 = 2;

let block: usize = 0;
let fields: usize = 0;
let buckets: usize = 0;
let queryBuckets: u32 = 0;
let cookieBuckets: u32 = 0;
let nodes: usize = 0;
let rules: usize = 0;
let headers: usize = 0;
let headersEnd: usize = 0;
let headerCount: u32 = 0;
let best: u32 = NO_RULE;
let from: u32 = 0;
let probe: u32 = UNKNOWN;

/**
 * @param ruleset a block that `checkRuleset` took
 * @param table one of its tables, as an address
 * @param pairs the header map's bytes
 * @param pairsLength how many there are; anything malformed in them means that no rule matches
 * @param index the first rule that is asked
 * @returns the address of the first rule that matches, or 0
 */
export function firstMatch(ruleset: usize, table: usize, pairs: usize, pairsLength: u32, index: u32): usize {
  const fieldCount = load<u32>(table + TABLE_FIELD_COUNT);
  block = ruleset;
  fields = ruleset + load<u32>(table + TABLE_FIELDS);
  if (pairsLength < 4 || !beginSlots(ruleset, fields, fieldCount)) return 0;
  buckets = ruleset + load<u32>(table + TABLE_NAME_BUCKETS);
  queryBuckets = load<u32>(table + TABLE_QUERY_BUCKETS);
  cookieBuckets = load<u32>(table + TABLE_COOKIE_BUCKETS);
  nodes = ruleset + load<u32>(table + TABLE_NODES);
  rules = ruleset + load<u32>(table + TABLE_RULES);
  headers = pairs;
  headersEnd = pairs + pairsLength;
  headerCount = load<u32>(pairs);
  if (<u64>headerCount * 8 + 4 > <u64>pairsLength) return 0;
  best = NO_RULE;
  from = index;
  probe = UNKNOWN;
  beginClosed();

  const repeated = fillFromHeaders();
  if (repeated < 0) return 0;
  if (repeated > 0 && !joinRepeated()) return 0;
  const derived = load<u32>(table + TABLE_DERIVED);
  if (derived != fieldCount) fillDerived(ruleset, fields, derived, fieldCount, headers, headerCount);

  consider(ruleset + load<u32>(table + TABLE_ALWAYS));
  for (let at = lastFilled(); at != 0; at = filledBefore(at - 1)) {
    const root = load<u32>(fields + (at - 1) * FIELD_BYTES + FIELD_TRIE);
    if (root != 0) walk(root - 1, valueIn(at - 1), lengthIn(at - 1));
  }
  const found = best == NO_RULE ? 0 : rules + best * RULE_BYTES;
  countClosed(found == 0 ? usize.MAX_VALUE : found);
  return found;
}

/** The index of the rule behind one that `firstMatch` found. */
export function indexBehind(table: usize, rule: usize): u32 {
  return <u32>(rule - block - load<u32>(table + TABLE_RULES)) / RULE_BYTES + 1;
}

/** @returns how many headers came again after their first, or -1 when the bytes are malformed */
function fillFromHeaders(): i32 {
  let repeated: i32 = 0;
  let lengths = headers + 4;
  let at = lengths + <usize>headerCount * 8;
  for (let i: u32 = 0; i < headerCount; i++) {
    const nameLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    lengths += 8;
    if (<u64>at + <u64>nameLength + <u64>valueLength + 2 > <u64>headersEnd) return -1;
    const value = at + nameLength + 1;
    const field = fieldNamed(buckets, at, nameLength);
    if (field != 0 && fill(field - 1, value, valueLength)) repeated++;
    if (isPath(at, nameLength)) {
      if (!isFilled(FIELD_PATH)) fill(FIELD_PATH, value, pathAlone(value, valueLength));
      if (queryBuckets != 0) fillQuery(block + queryBuckets, value, valueLength);
    } else if (cookieBuckets != 0 && isCookie(at, nameLength)) {
      fillCookies(block + cookieBuckets, value, valueLength);
    }
    at = value + valueLength + 1;
  }
  return repeated;
}

/** Gives each header that was sent several times one value. One pass, however many there are. */
function joinRepeated(): bool {
  if (!beginJoining()) return false;
  let lengths = headers + 4;
  let at = lengths + <usize>headerCount * 8;
  for (let i: u32 = 0; i < headerCount; i++) {
    const nameLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    lengths += 8;
    const value = at + nameLength + 1;
    const field = fieldNamed(buckets, at, nameLength);
    if (field != 0) join(field - 1, value, valueLength);
    at = value + valueLength + 1;
  }
  return true;
}

function isPath(name: usize, length: u32): bool {
  // ":pat" and "h".
  return length == 5 && load<u32>(name) == 0x7461703a && load<u8>(name + 4) == 0x68;
}

function isCookie(name: usize, length: u32): bool {
  // "cook" and "ie".
  return length == 6 && load<u32>(name) == 0x6b6f6f63 && load<u16>(name + 4) == 0x6569;
}

/** @returns the length of the path in front of the query or fragment */
function pathAlone(value: usize, length: u32): u32 {
  for (let i: u32 = 0; i < length; i++) {
    const byte = load<u8>(value + i);
    if (byte == 0x3f || byte == 0x23) return i;
  }
  return length;
}

function walk(root: u32, value: usize, length: u32): void {
  let node = nodes + root * NODE_BYTES;
  let at: u32 = 0;
  while (true) {
    const prefix = load<u32>(node + NODE_PREFIX);
    if (prefix != 0) consider(block + prefix);
    if (at == length) {
      const exact = load<u32>(node + NODE_EXACT);
      if (exact != 0) consider(block + exact);
      return;
    }
    const count = load<u32>(node + NODE_CHILD_COUNT);
    if (count == 0) return;
    const place = placeOf(block + load<u32>(node + NODE_FIRST_BYTES), count, load<u8>(value + at));
    if (place == count) return;
    node = nodes + (load<u32>(node + NODE_FIRST_CHILD) + place) * NODE_BYTES;
    const labelLength = load<u32>(node + NODE_LABEL_LENGTH);
    if (labelLength > length - at || !same(block + load<u32>(node + NODE_LABEL), value + at, labelLength)) return;
    at += labelLength;
  }
}

/** @returns where `byte` stands among `count` rising bytes, or `count` when it isn't there */
function placeOf(bytes: usize, count: u32, byte: u8): u32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u8>(bytes + middle) < byte) low = middle + 1;
    else high = middle;
  }
  return low < count && load<u8>(bytes + low) == byte ? low : count;
}

/** Takes the first rule of the list that matches, if it comes before the best so far. */
function consider(list: usize): void {
  const count = load<u32>(list);
  for (let i: u32 = 0; i < count; i++) {
    const index = load<u32>(list + 4 + i * 4);
    if (index >= best) return;
    if (index < from) continue;
    if (matches(rules + index * RULE_BYTES)) {
      best = index;
      return;
    }
  }
}

function matches(rule: usize): bool {
  if (!allHold(block, block + load<u32>(rule + RULE_CONDITIONS), load<u16>(rule + RULE_CONDITION_COUNT))) return false;
  const open = isOpen(rule);
  if ((load<u16>(rule + RULE_FLAGS) & FLAG_PROBES) == 0 && isProbe()) return false;
  if (!open) noteClosed(rule);
  return open;
}

/** Whether it is the rule's time. */
function isOpen(rule: usize): bool {
  const until = load<f64>(rule + RULE_END);
  if (until != 0 && nowMs() >= until) return false;
  const turns = load<u32>(rule + RULE_TURNS);
  return turns == 0 || nowMs() >= load<f64>(block + turns + TURNS_START);
}

/** Whether `user-agent` is that of a Kubernetes or Envoy health probe. Looked for only when a rule would match. */
function isProbe(): bool {
  if (probe == UNKNOWN) probe = hasProbeAgent(headers, headerCount) ? PROBE : NO_PROBE;
  return probe == PROBE;
}
