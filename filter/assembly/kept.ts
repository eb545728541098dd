import { reserve } from './arena';
import { block, generation } from './in-force';
import { RULE_ACTION, RULE_ACTION_LENGTH } from './layout';

/**
 * Copies of the actions that are being done to requests: a rule's action must outlive the ruleset that it came with. One copy a
 * rule, however many requests use it.
 *
 * ```
 * +------+------------+------+--------+----------+
 * | uses | generation | rule | memory | capacity |
 * +------+------------+------+--------+----------+
 * ```
 */
export const KEPT_COUNT: u32 = 256;
const KEPT_BYTES: u32 = 20;
const KEPT_USES: u32 = 0;
const KEPT_GENERATION: u32 = 4;
const KEPT_RULE: u32 = 8;
const KEPT_MEMORY: u32 = 12;
const KEPT_CAPACITY: u32 = 16;

export const NOTHING_KEPT: u32 = 0xffffffff;

let kept: usize = 0;
/** The one used last: rules come in runs. */
let recent: u32 = 0;

/** Makes room for the copies' records. Called when configured. */
export function reserveKept(): void {
  if (kept == 0) kept = reserve(KEPT_COUNT * KEPT_BYTES);
}

/** Keeps the action of a rule in force. @returns the copy's number, or `NOTHING_KEPT` when all are in use or there is no memory */
export function keepAction(rule: usize): u32 {
  if (kept == 0) return NOTHING_KEPT;
  if (isOf(kept + recent * KEPT_BYTES, rule)) return used(recent);
  let free: u32 = NOTHING_KEPT;
  for (let i: u32 = 0; i < KEPT_COUNT; i++) {
    const record = kept + i * KEPT_BYTES;
    if (isOf(record, rule)) return used(i);
    if (load<u32>(record + KEPT_USES) == 0 && free == NOTHING_KEPT) free = i;
  }
  if (free == NOTHING_KEPT) return NOTHING_KEPT;
  const record = kept + free * KEPT_BYTES;
  const length = load<u32>(rule + RULE_ACTION_LENGTH);
  if (!makeRoom(record, length)) return NOTHING_KEPT;
  memory.copy(load<u32>(record + KEPT_MEMORY), block + load<u32>(rule + RULE_ACTION), length);
  store<u32>(record + KEPT_GENERATION, generation);
  store<u32>(record + KEPT_RULE, <u32>rule);
  return used(free);
}

function isOf(record: usize, rule: usize): bool {
  return (
    load<u32>(record + KEPT_USES) != 0 && load<u32>(record + KEPT_RULE) == <u32>rule && load<u32>(record + KEPT_GENERATION) == generation
  );
}

function used(number: u32): u32 {
  const record = kept + number * KEPT_BYTES;
  store<u32>(record + KEPT_USES, load<u32>(record + KEPT_USES) + 1);
  recent = number;
  return number;
}

function makeRoom(record: usize, length: u32): bool {
  const capacity = load<u32>(record + KEPT_CAPACITY);
  if (capacity >= length) return true;
  let size: u32 = max<u32>(1024, capacity * 2);
  while (size < length) size *= 2;
  const fresh = reserve(size);
  if (fresh == 0) return false;
  store<u32>(record + KEPT_MEMORY, <u32>fresh);
  store<u32>(record + KEPT_CAPACITY, size);
  return true;
}

export function keptAction(number: u32): usize {
  return load<u32>(kept + number * KEPT_BYTES + KEPT_MEMORY);
}

export function keptInUse(number: u32): bool {
  return kept != 0 && load<u32>(kept + number * KEPT_BYTES + KEPT_USES) != 0;
}

/** One request less is in need of it. */
export function releaseKept(number: u32): void {
  const record = kept + number * KEPT_BYTES;
  store<u32>(record + KEPT_USES, load<u32>(record + KEPT_USES) - 1);
}
