import { reserve } from './arena';
import {
  HEADER_BUDGET,
  HEADER_FLAGS,
  HEADER_INBOUND,
  HEADER_OUTBOUND,
  MAX_RULESET_BYTES,
  RULESET_HALTED,
  TABLE_FIELD_COUNT,
  TABLE_MAX_THRESHOLD,
  TABLE_RULE_COUNT,
} from './layout';
import { beginCheck, checkOn, REFUSED_NOT, REFUSED_NOT_YET, REFUSED_TOO_LARGE } from './ruleset';
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
/** How many injections this proxy may do in a second; 0 = any. */
export let budget: f32 = 0;
/** Counts the changes, so that what refers to a rule can tell whether it is still that rule. */
export let generation: u32 = 0;

/** Bytes in front of each buffer that whoever fills it may use. */
export const ROOM_IN_FRONT: u32 = 16;

/** The block that is being checked in the buffer not in force, 0 when none is. */
export let taking: usize = 0;
export let takingLength: u32 = 0;

/** Where a ruleset of that length is best put before it is taken; 0 without memory. What was being taken is given up. */
export function roomToTake(length: u32): usize {
  taking = 0;
  return length > MAX_RULESET_BYTES ? 0 : bufferFor(length);
}

/**
 * Begins to take a ruleset; what was being taken is given up.
 *
 * @param bytes anywhere; they are copied, unless they are where `roomToTake` said
 * @returns why they were refused, or `REFUSED_NOT_YET`
 */
export function beginTaking(bytes: usize, length: u32): u32 {
  taking = 0;
  const reason = beginCheck(bytes, length);
  if (reason != REFUSED_NOT_YET) return reason;
  const to = bufferFor(length);
  if (to == 0) return REFUSED_TOO_LARGE;
  if (to != bytes) memory.copy(to, bytes, length);
  taking = to;
  takingLength = length;
  return beginCheck(to, length);
}

/** One step more of what `beginTaking` began. @returns `REFUSED_NOT` when the ruleset is in force, `REFUSED_NOT_YET`, or why it is refused; then nothing changed */
export function takeOn(): u32 {
  const reason = checkOn();
  if (reason == REFUSED_NOT_YET) return reason;
  const block = taking;
  taking = 0;
  return reason == REFUSED_NOT ? putInForce(block) : reason;
}

function putInForce(checked: usize): u32 {
  const inbound = checked + load<u32>(checked + HEADER_INBOUND);
  const outbound = checked + load<u32>(checked + HEADER_OUTBOUND);
  if (!reserveSlots(max<u32>(load<u32>(inbound + TABLE_FIELD_COUNT), load<u32>(outbound + TABLE_FIELD_COUNT)))) return REFUSED_TOO_LARGE;
  usesB = !usesB;
  block = checked;
  inboundTable = inbound;
  outboundTable = outbound;
  inboundRules = load<u32>(inboundTable + TABLE_RULE_COUNT);
  outboundRules = load<u32>(outboundTable + TABLE_RULE_COUNT);
  inboundThreshold = load<u32>(inboundTable + TABLE_MAX_THRESHOLD);
  outboundThreshold = load<u32>(outboundTable + TABLE_MAX_THRESHOLD);
  halted = (load<u32>(checked + HEADER_FLAGS) & RULESET_HALTED) != 0;
  budget = load<f32>(checked + HEADER_BUDGET);
  generation++;
  return REFUSED_NOT;
}

/** The buffer not in force, made large enough. Sizes double, so growing wastes at most as much again. */
function bufferFor(length: u32): usize {
  const capacity = usesB ? capacityA : capacityB;
  if (capacity >= length) return usesB ? bufferA : bufferB;
  let size: u32 = max<u32>(8192, capacity * 2);
  while (size < length) size *= 2;
  const room = reserve(<u64>size + ROOM_IN_FRONT);
  if (room == 0) return 0;
  const fresh = room + ROOM_IN_FRONT;
  if (usesB) {
    bufferA = fresh;
    capacityA = size;
  } else {
    bufferB = fresh;
    capacityB = size;
  }
  return fresh;
}
