import { arenaAllocate, reserve } from './arena';
import { nowMs } from './clock';
import {
  CONDITION_BYTES,
  CONDITION_FIELD,
  CONDITION_OPERATION,
  CONDITION_VALUE,
  CONDITION_VALUE_LENGTH,
  FIELD_BYTES,
  FIELD_NAME,
  FIELD_NAME_LENGTH,
  FIELD_NEXT,
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
  nameBucket,
  OPERATION_EXACT,
  RULE_BYTES,
  RULE_CONDITION_COUNT,
  RULE_CONDITIONS,
  RULE_END,
  RULE_FLAGS,
  TABLE_ALWAYS,
  TABLE_FIELD_COUNT,
  TABLE_FIELDS,
  TABLE_NAME_BUCKETS,
  TABLE_NODES,
  TABLE_RULES,
} from './layout';
import { hasProbeAgent } from './probe';

/**
 * Finds the rule that decides a request, reading the headers where the host put them: `count`, then `count` pairs of name and
 * value length, then the bytes, each name and value ended by a zero (proxy-wasm `proxy_get_header_map_pairs`). Names are in
 * lower case, as Envoy keeps them.
 *
 * The module's variables are the state of one call; nothing outlives it but the slots' memory.
 */

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

const NO_RULE: u32 = 0xffffffff;

const UNKNOWN: u32 = 0;
const PROBE: u32 = 1;
const NO_PROBE: u32 = 2;

let slots: usize = 0;
let slotCapacity: u32 = 0;
let stamp: u32 = 0;
/** Index + 1 of the slot filled last. */
let lastSlot: u32 = 0;

let block: usize = 0;
let fields: usize = 0;
let buckets: usize = 0;
let nodes: usize = 0;
let rules: usize = 0;
let headers: usize = 0;
let headersEnd: usize = 0;
let headerCount: u32 = 0;
let best: u32 = NO_RULE;
let probe: u32 = UNKNOWN;

/**
 * Makes room for a table's fields. Called when a ruleset is taken, never in a request; keeps the largest room ever needed.
 *
 * @returns whether there was memory for it
 */
export function reserveSlots(fieldCount: u32): bool {
  if (fieldCount <= slotCapacity) return true;
  let capacity: u32 = 16;
  while (capacity < fieldCount) capacity <<= 1;
  const fresh = reserve(<u64>capacity * SLOT_BYTES);
  if (fresh == 0) return false;
  memory.fill(fresh, 0, <usize>(capacity * SLOT_BYTES));
  slots = fresh;
  slotCapacity = capacity;
  return true;
}

/**
 * @param ruleset a block that `checkRuleset` took
 * @param table one of its tables, as an address
 * @param pairs the header map's bytes
 * @param pairsLength how many there are; anything malformed in them means that no rule matches
 * @returns the address of the first rule that matches, or 0
 */
export function firstMatch(ruleset: usize, table: usize, pairs: usize, pairsLength: u32): usize {
  if (pairsLength < 4 || load<u32>(table + TABLE_FIELD_COUNT) > slotCapacity) return 0;
  block = ruleset;
  fields = ruleset + load<u32>(table + TABLE_FIELDS);
  buckets = ruleset + load<u32>(table + TABLE_NAME_BUCKETS);
  nodes = ruleset + load<u32>(table + TABLE_NODES);
  rules = ruleset + load<u32>(table + TABLE_RULES);
  headers = pairs;
  headersEnd = pairs + pairsLength;
  headerCount = load<u32>(pairs);
  if (<u64>headerCount * 8 + 4 > <u64>pairsLength) return 0;
  best = NO_RULE;
  probe = UNKNOWN;
  nextStamp();

  const repeated = fillSlots();
  if (repeated < 0) return 0;
  if (repeated > 0 && !joinRepeated()) return 0;

  consider(ruleset + load<u32>(table + TABLE_ALWAYS));
  for (let at = lastSlot; at != 0; at = load<u32>(slots + (at - 1) * SLOT_BYTES + SLOT_PREVIOUS)) {
    const root = load<u32>(fields + (at - 1) * FIELD_BYTES + FIELD_TRIE);
    if (root == 0) continue;
    const slot = slots + (at - 1) * SLOT_BYTES;
    walk(root - 1, load<u32>(slot + SLOT_VALUE), load<u32>(slot + SLOT_LENGTH));
  }
  return best == NO_RULE ? 0 : rules + best * RULE_BYTES;
}

// A slot of 2^32 requests ago must not look like one of this request.
function nextStamp(): void {
  stamp++;
  if (stamp == 0) {
    memory.fill(slots, 0, <usize>(slotCapacity * SLOT_BYTES));
    stamp = 1;
  }
  lastSlot = 0;
}

/** @returns how many headers came again after their first, or -1 when the bytes are malformed */
function fillSlots(): i32 {
  let repeated: i32 = 0;
  let lengths = headers + 4;
  let at = lengths + <usize>headerCount * 8;
  for (let i: u32 = 0; i < headerCount; i++) {
    const nameLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    lengths += 8;
    if (<u64>at + <u64>nameLength + <u64>valueLength + 2 > <u64>headersEnd) return -1;
    const value = at + nameLength + 1;
    if (nameLength != 0) {
      const field = fieldOf(at, nameLength);
      if (field != 0 && fill(field - 1, value, valueLength)) repeated++;
      if (isPath(at, nameLength) && load<u32>(slots + FIELD_PATH * SLOT_BYTES) != stamp)
        fill(FIELD_PATH, value, pathAlone(value, valueLength));
    }
    at = value + valueLength + 1;
  }
  return repeated;
}

/** @returns whether the field had a value before */
function fill(field: u32, value: usize, length: u32): bool {
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
  store<u32>(slot + SLOT_PREVIOUS, lastSlot);
  lastSlot = field + 1;
  return false;
}

/** Gives each field that was sent several times one value, joined with `,`. One pass, however many there are. */
function joinRepeated(): bool {
  for (let at = lastSlot; at != 0; at = load<u32>(slots + (at - 1) * SLOT_BYTES + SLOT_PREVIOUS)) {
    const slot = slots + (at - 1) * SLOT_BYTES;
    if (load<u32>(slot + SLOT_TIMES) == 1) continue;
    const joined = arenaAllocate(load<u32>(slot + SLOT_LENGTH));
    if (joined == 0) return false;
    store<u32>(slot + SLOT_VALUE, <u32>joined);
    store<u32>(slot + SLOT_FILL, 0);
  }
  let lengths = headers + 4;
  let at = lengths + <usize>headerCount * 8;
  for (let i: u32 = 0; i < headerCount; i++) {
    const nameLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    lengths += 8;
    const value = at + nameLength + 1;
    const field = nameLength == 0 ? 0 : fieldOf(at, nameLength);
    if (field != 0) append(slots + (field - 1) * SLOT_BYTES, value, valueLength);
    at = value + valueLength + 1;
  }
  return true;
}

function append(slot: usize, value: usize, length: u32): void {
  if (load<u32>(slot + SLOT_TIMES) == 1) return;
  let filled = load<u32>(slot + SLOT_FILL);
  const joined: usize = load<u32>(slot + SLOT_VALUE);
  if (filled != 0) store<u8>(joined + filled - 1, 0x2c);
  memory.copy(joined + filled, value, length);
  // Counts the comma that comes behind this value, or would.
  store<u32>(slot + SLOT_FILL, filled + length + 1);
}

/** @returns index + 1 of the field with this header name, 0 for none */
function fieldOf(name: usize, length: u32): u32 {
  const bucket = nameBucket(length, load<u8>(name), load<u8>(name + (length >> 1)), load<u8>(name + length - 1));
  let field = load<u32>(buckets + bucket * 4);
  while (field != 0) {
    const record = fields + (field - 1) * FIELD_BYTES;
    if (load<u32>(record + FIELD_NAME_LENGTH) == length && same(block + load<u32>(record + FIELD_NAME), name, length)) return field;
    field = load<u32>(record + FIELD_NEXT);
  }
  return 0;
}

function isPath(name: usize, length: u32): bool {
  // ":pat" and "h".
  return length == 5 && load<u32>(name) == 0x7461703a && load<u8>(name + 4) == 0x68;
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
    if (matches(rules + index * RULE_BYTES)) {
      best = index;
      return;
    }
  }
}

function matches(rule: usize): bool {
  let condition = block + load<u32>(rule + RULE_CONDITIONS);
  const end = condition + load<u32>(rule + RULE_CONDITION_COUNT) * CONDITION_BYTES;
  for (; condition < end; condition += CONDITION_BYTES) {
    if (!holds(condition)) return false;
  }
  const until = load<f64>(rule + RULE_END);
  if (until != 0 && nowMs() >= until) return false;
  return (load<u32>(rule + RULE_FLAGS) & FLAG_PROBES) != 0 || !isProbe();
}

function holds(condition: usize): bool {
  const slot = slots + load<u32>(condition + CONDITION_FIELD) * SLOT_BYTES;
  if (load<u32>(slot + SLOT_STAMP) != stamp) return false;
  const wanted = load<u32>(condition + CONDITION_VALUE_LENGTH);
  const length = load<u32>(slot + SLOT_LENGTH);
  if (load<u32>(condition + CONDITION_OPERATION) == OPERATION_EXACT ? length != wanted : length < wanted) return false;
  return same(block + load<u32>(condition + CONDITION_VALUE), load<u32>(slot + SLOT_VALUE), wanted);
}

/** Whether `user-agent` is that of a Kubernetes or Envoy health probe. Looked for only when a rule would match. */
function isProbe(): bool {
  if (probe == UNKNOWN) probe = hasProbeAgent(headers, headerCount) ? PROBE : NO_PROBE;
  return probe == PROBE;
}

function same(left: usize, right: usize, length: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= length; i += 8) {
    if (load<u64>(left + i) != load<u64>(right + i)) return false;
  }
  for (; i < length; i++) {
    if (load<u8>(left + i) != load<u8>(right + i)) return false;
  }
  return true;
}
