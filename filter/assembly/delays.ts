import { reserve } from './arena';
import { NS_PER_MS } from './clock';
import { countDelay, countDelayEnd, countDelayGone, countOverflow, takePlace } from './metrics';

/**
 * What is held: a binary heap by deadline.
 *
 * ```
 * +----------------+--------------+--------+------+
 * | deadline (u64) | since (u64)  | stream | kind |   ns on the monotonic clock
 * +----------------+--------------+--------+------+
 * ```
 */
const ENTRY_BYTES: u32 = 24;
const SINCE: u32 = 8;
const STREAM: u32 = 16;
const KIND: u32 = 20;

/** What becomes of a held stream at its deadline. Odd kinds are about the response. */
export const GO_ON: u32 = 0;
export const ABORT: u32 = 2;
/** A piece of a body, of which a stream may have one each way besides. */
export const PIECE: u32 = 4;
/** A response is broken off. */
export const CUT: u32 = 6;
export const OF_RESPONSE: u32 = 1;

const NEVER: u64 = 0xffffffffffffffff;

let heap_: usize = 0;
let capacity: u32 = 0;
let limit: u32 = 0;
let count: u32 = 0;

/** How many held streams have these low bits: a stream that ends is looked for only when there may be one. */
const MARKS: u32 = 1024;
let marks: usize = 0;

/** Sets how many requests this proxy may hold at a time. Called when configured, never in a request. */
export function limitDelayed(most: u32): void {
  if (marks == 0) marks = reserve(MARKS * 4);
  if (marks == 0) return;
  if (most > capacity) {
    const fresh = reserve(<u64>(most + 1) * ENTRY_BYTES);
    if (fresh == 0) return;
    memory.copy(fresh, heap_, <usize>count * ENTRY_BYTES);
    heap_ = fresh;
    capacity = most;
  }
  limit = most;
}

/** Takes a place for one more request to be held; if there is none, that is counted. */
export function takePlaceToHold(): bool {
  if (count < limit) return takePlace(limit);
  countOverflow();
  return false;
}

/**
 * Holds a stream for which `takePlaceToHold` took a place.
 *
 * @param kind what becomes of it: `GO_ON` or `ABORT`, with `OF_RESPONSE`
 * @returns its deadline in ns
 */
export function holdStream(stream: u32, now: u64, ns: u64, kind: u32): u64 {
  put(stream, now, now + ns, kind);
  countDelay();
  return now + ns;
}

/** Holds a piece of a body, or puts off a cut. @returns whether there is room */
export function holdPiece(stream: u32, now: u64, deadline: u64, kind: u32): bool {
  if (count >= limit) {
    countOverflow();
    return false;
  }
  put(stream, now, deadline, kind);
  return true;
}

function put(stream: u32, now: u64, deadline: u64, kind: u32): void {
  const entry = heap_ + count * ENTRY_BYTES;
  store<u64>(entry, deadline);
  store<u64>(entry + SINCE, now);
  store<u32>(entry + STREAM, stream);
  store<u32>(entry + KIND, kind);
  mark(stream, 1);
  rise(count++);
}

/** When the next stream is due, in ns; all ones when none waits. */
export function nextDeadline(): u64 {
  return count == 0 ? NEVER : load<u64>(heap_);
}

/** The stream that is due next, and what becomes of it. Only when there is one. */
export function nextStream(): u32 {
  return load<u32>(heap_ + STREAM);
}

export function nextKind(): u32 {
  return load<u32>(heap_ + KIND);
}

/** Takes the stream that is due next off the heap. */
export function takeNext(now: u64): void {
  const delayed = nextKind() < PIECE;
  const since = load<u64>(heap_ + SINCE);
  remove(0);
  if (delayed) countDelayEnd((now - since) / NS_PER_MS);
}

/** A stream is over; if it was held, nothing is owed to it any more. */
export function forgetHeld(stream: u32): void {
  if (count == 0 || load<u32>(marks + (stream & (MARKS - 1)) * 4) == 0) return;
  for (let i: u32 = 0; i < count; ) {
    const entry = heap_ + i * ENTRY_BYTES;
    if (load<u32>(entry + STREAM) != stream) {
      i++;
      continue;
    }
    if (load<u32>(entry + KIND) < PIECE) countDelayGone();
    remove(i);
  }
}

function mark(stream: u32, by: i32): void {
  const at = marks + (stream & (MARKS - 1)) * 4;
  store<u32>(at, load<u32>(at) + by);
}

function remove(index: u32): void {
  mark(load<u32>(heap_ + index * ENTRY_BYTES + STREAM), -1);
  count--;
  if (index == count) return;
  memory.copy(heap_ + index * ENTRY_BYTES, heap_ + count * ENTRY_BYTES, ENTRY_BYTES);
  sink(index);
  rise(index);
}

function rise(from: u32): void {
  let index = from;
  while (index != 0) {
    const parent = (index - 1) >> 1;
    if (load<u64>(heap_ + parent * ENTRY_BYTES) <= load<u64>(heap_ + index * ENTRY_BYTES)) return;
    swap(parent, index);
    index = parent;
  }
}

function sink(from: u32): void {
  let index = from;
  while (true) {
    let least = index;
    for (let child = index * 2 + 1; child <= index * 2 + 2 && child < count; child++) {
      if (load<u64>(heap_ + child * ENTRY_BYTES) < load<u64>(heap_ + least * ENTRY_BYTES)) least = child;
    }
    if (least == index) return;
    swap(least, index);
    index = least;
  }
}

/** The entry behind the last one serves as the third hand. */
function swap(a: u32, b: u32): void {
  const left = heap_ + a * ENTRY_BYTES;
  const right = heap_ + b * ENTRY_BYTES;
  const spare = heap_ + capacity * ENTRY_BYTES;
  memory.copy(spare, left, ENTRY_BYTES);
  memory.copy(left, right, ENTRY_BYTES);
  memory.copy(right, spare, ENTRY_BYTES);
}
