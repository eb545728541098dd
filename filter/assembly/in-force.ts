import { reserve } from './arena';
import {
  HEADER_FLAGS,
  HEADER_INBOUND,
  HEADER_OUTBOUND,
  RULESET_HALTED,
  TABLE_FIELD_COUNT,
  TABLE_MAX_THRESHOLD,
  TABLE_RULE_COUNT,
} from './layout';
import { checkRuleset, REFUSED_NOT, REFUSED_TOO_LARGE } from './ruleset';
import { reserveSlots } from './slots';

/**
 * The ruleset that this VM runs. It lies in one of two buffers; a new one is checked and copied into the other before the
 * two change places, so a request meets the old or the new one, never half of either.
 */

let bufferA: usize = 0;
let capacityA: u32 = 0;
let bufferB: usize = 0;
let capacityB: u32 = 0;
let usesB = false;

/** The block in force, 0 before the first. */
export let block: usize = 0;
export let inboundTable: usize = 0;
export let outboundTable: usize = 0;
/** Rules in force in each direction; 0 lets a request pass at once. */
export let inboundRules: u32 = 0;
export let outboundRules: u32 = 0;
export let inboundThreshold: u32 = 0;
export let outboundThreshold: u32 = 0;
/** Nothing is to be injected until another ruleset comes. */
export let halted = false;
/** Counts the changes, so that what refers to a rule can tell whether it is still that rule. */
export let generation: u32 = 0;

/**
 * @param bytes anywhere; they are copied
 * @returns `REFUSED_NOT`, or why the bytes were refused; then nothing changed
 */
export function takeRuleset(bytes: usize, length: u32): u32 {
  const reason = checkRuleset(bytes, length);
  if (reason != REFUSED_NOT) return reason;
  const inbound = load<u32>(bytes + HEADER_INBOUND);
  const outbound = load<u32>(bytes + HEADER_OUTBOUND);
  const fields = max<u32>(load<u32>(bytes + inbound + TABLE_FIELD_COUNT), load<u32>(bytes + outbound + TABLE_FIELD_COUNT));
  const to = bufferFor(length);
  if (to == 0 || !reserveSlots(fields)) return REFUSED_TOO_LARGE;
  memory.copy(to, bytes, length);
  usesB = !usesB;
  block = to;
  inboundTable = to + inbound;
  outboundTable = to + outbound;
  inboundRules = load<u32>(inboundTable + TABLE_RULE_COUNT);
  outboundRules = load<u32>(outboundTable + TABLE_RULE_COUNT);
  inboundThreshold = load<u32>(inboundTable + TABLE_MAX_THRESHOLD);
  outboundThreshold = load<u32>(outboundTable + TABLE_MAX_THRESHOLD);
  halted = (load<u32>(to + HEADER_FLAGS) & RULESET_HALTED) != 0;
  generation++;
  return REFUSED_NOT;
}

/** The buffer not in force, made large enough. Sizes double, so growing wastes at most as much again. */
function bufferFor(length: u32): usize {
  const capacity = usesB ? capacityA : capacityB;
  if (capacity >= length) return usesB ? bufferA : bufferB;
  let size: u32 = max<u32>(8192, capacity * 2);
  while (size < length) size *= 2;
  const fresh = reserve(size);
  if (fresh == 0) return 0;
  if (usesB) {
    bufferA = fresh;
    capacityA = size;
  } else {
    bufferB = fresh;
    capacityB = size;
  }
  return fresh;
}
