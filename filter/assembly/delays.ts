import { abortFrom, NOTHING_KEPT, releaseAnswer } from './abort';
import { reserve } from './arena';
import { monotonicNs, NS_PER_MS } from './clock';
import { actOn, continueRequest } from './host';
import { countDelay, countDelayEnd, countDelayGone, countOverflow, takePlace } from './metrics';

/**
 * The requests that are held: a binary heap by deadline. What becomes of one is in its entry, so that it no longer needs the
 * ruleset by which it was held.
 *
 * ```
 * +----------------+--------------+--------+--------+
 * | deadline (u64) | since (u64)  | stream | answer |   ns on the monotonic clock; answer = a kept one or NOTHING_KEPT
 * +----------------+--------------+--------+--------+
 * ```
 */
const ENTRY_BYTES: u32 = 24;
const SINCE: u32 = 8;
const STREAM: u32 = 16;
const ANSWER: u32 = 20;

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

/** Holds a request for which `takePlaceToHold` took a place. @returns its deadline in ns */
export function holdRequest(stream: u32, ms: u32, answer: u32): u64 {
  const now = monotonicNs();
  const deadline = now + <u64>ms * NS_PER_MS;
  const entry = heap_ + count * ENTRY_BYTES;
  store<u64>(entry, deadline);
  store<u64>(entry + SINCE, now);
  store<u32>(entry + STREAM, stream);
  store<u32>(entry + ANSWER, answer);
  mark(stream, 1);
  rise(count++);
  countDelay();
  return deadline;
}

/** When the next request is due, in ns; all ones when none waits. */
export function nextDeadline(): u64 {
  return count == 0 ? NEVER : load<u64>(heap_);
}

/** Lets every request go whose time has come, never one before it. Leaves another context as the acting one. */
export function releaseDue(): void {
  if (count == 0) return;
  const now = monotonicNs();
  while (count != 0 && load<u64>(heap_) <= now) {
    const answer = load<u32>(heap_ + ANSWER);
    const alive = takeFirst(now);
    if (answer == NOTHING_KEPT) {
      if (alive) continueRequest();
      continue;
    }
    if (alive) abortFrom(answer);
    releaseAnswer(answer);
  }
}

/**
 * The same when another request comes by, since Envoy's timers follow the kernel's coarse clock (a step is 1 to 10 ms). An
 * abort has to wait for the timer: the host takes any local response as one to the request whose callback is running.
 *
 * @returns whether any went, so that the acting context is another one now
 */
export function releaseInPassing(): bool {
  if (count == 0) return false;
  const now = monotonicNs();
  const before = count;
  while (count != 0 && load<u64>(heap_) <= now && load<u32>(heap_ + ANSWER) == NOTHING_KEPT) {
    if (takeFirst(now)) continueRequest();
  }
  return count != before;
}

/** Takes the first request off the heap and makes it the acting context. @returns whether it is still there */
function takeFirst(now: u64): bool {
  const stream = load<u32>(heap_ + STREAM);
  const since = load<u64>(heap_ + SINCE);
  remove(0);
  countDelayEnd((now - since) / NS_PER_MS);
  return actOn(stream);
}

/** A stream is over; if it was held, nothing is owed to it any more. */
export function forgetStream(stream: u32): void {
  if (count == 0 || load<u32>(marks + (stream & (MARKS - 1)) * 4) == 0) return;
  for (let i: u32 = 0; i < count; i++) {
    const entry = heap_ + i * ENTRY_BYTES;
    if (load<u32>(entry + STREAM) != stream) continue;
    const answer = load<u32>(entry + ANSWER);
    if (answer != NOTHING_KEPT) releaseAnswer(answer);
    remove(i);
    countDelayGone();
    return;
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
