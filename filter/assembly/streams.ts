import { reserve } from './arena';
import { keepAction, keptAction, NOTHING_KEPT, releaseKept } from './kept';

/**
 * The requests to which something is still to be done after their headers went by: a hash table by stream, with open addressing.
 *
 * ```
 * +--------+------+-------+---------+-------------------+--------------------+
 * | stream | kept | state | unused  | request way (16)  | response way (16)  |
 * +--------+------+-------+---------+-------------------+--------------------+
 * way: when it is free again (u64, ns on the monotonic clock) | bytes so far | unused
 * ```
 */
const RECORD_BYTES: u32 = 48;
const KEPT: u32 = 4;
const STATE: u32 = 8;
const REQUEST_WAY: u32 = 16;
const RESPONSE_WAY: u32 = 32;

export const WAY_FREE: u32 = 0;
export const WAY_BYTES: u32 = 8;

/** The state of a stream, in bits. */
export const ANSWERED: u32 = 1;
export const PIECE_HELD_REQUEST: u32 = 2;
export const PIECE_HELD_RESPONSE: u32 = 4;
/** The body is no message's and stays as it is. */
export const BODY_STAYS_REQUEST: u32 = 8;
export const BODY_STAYS_RESPONSE: u32 = 16;
export const GRPC_CALL: u32 = 64;
/** The response is to go no further. */
export const CUT_OFF: u32 = 32;
/** Nothing is done to the answer. */
export const ANSWER_LEFT: u32 = 128;
/** A halt came: nothing more is done to it but what its head has said already. */
export const ENDED: u32 = 256;
/** Its head says how long the shortened body is. */
export const LENGTH_SAID_REQUEST: u32 = 512;
export const LENGTH_SAID_RESPONSE: u32 = 1024;

/** Places to begin with and at most, powers of two. A VM that has requests under way in half of the most does no further faults. */
const FIRST_PLACES: u32 = 512;
const MOST_PLACES: u32 = 16_384;
/** A place from which a record was taken, so that those behind it are still found. */
const GONE: u32 = 0xffffffff;

let table: usize = 0;
let places: u32 = 0;
/** 32 less the number of bits of a place. */
let shift: u32 = 0;
let count: u32 = 0;
/** Records and places of taken ones. */
let filled: u32 = 0;

/** Makes room. Called when configured. */
export function reserveStreams(): void {
  if (table == 0) grow(FIRST_PLACES);
}

/** Notes a request to which the action of a rule in force is done. @returns its record, or 0 when there is no room */
export function track(stream: u32, rule: usize): usize {
  if (count >= places / 2 && !(places < MOST_PLACES && grow(places * 2))) return 0;
  if (filled >= (places / 4) * 3) rebuild();
  const kept = keepAction(rule);
  if (kept == NOTHING_KEPT) return 0;
  const record = freePlace(stream);
  if (load<u32>(record) == 0) filled++;
  memory.fill(record, 0, RECORD_BYTES);
  store<u32>(record, stream);
  store<u32>(record + KEPT, kept);
  count++;
  return record;
}

/** @returns the record of a stream, or 0 */
export function tracked(stream: u32): usize {
  if (count == 0) return 0;
  let at = placeOf(stream);
  while (true) {
    const record = table + at * RECORD_BYTES;
    const own = load<u32>(record);
    if (own == stream) return record;
    if (own == 0) return 0;
    at = (at + 1) & (places - 1);
  }
}

/** Nothing more is to be done to a stream. */
export function untrack(stream: u32): void {
  const record = tracked(stream);
  if (record == 0) return;
  releaseKept(load<u32>(record + KEPT));
  store<u32>(record, GONE);
  count--;
}

/** Nothing more is to be done to any stream but to finish what its head has said. */
export function endTracked(): void {
  if (count == 0) return;
  for (let i: u32 = 0; i < places; i++) {
    const record = table + i * RECORD_BYTES;
    const stream = load<u32>(record);
    if (stream != 0 && stream != GONE) addState(record, ENDED);
  }
}

export function actionOf(record: usize): usize {
  return keptAction(load<u32>(record + KEPT));
}

export function stateOf(record: usize): u32 {
  return load<u32>(record + STATE);
}

export function addState(record: usize, flag: u32): void {
  store<u32>(record + STATE, load<u32>(record + STATE) | flag);
}

export function dropState(record: usize, flag: u32): void {
  store<u32>(record + STATE, load<u32>(record + STATE) & ~flag);
}

export function wayOf(record: usize, response: bool): usize {
  return record + (response ? RESPONSE_WAY : REQUEST_WAY);
}

/** Streams are numbered one after the other; multiplied, neighbours don't cluster (Knuth, The Art of Computer Programming 3, 6.4). */
function placeOf(stream: u32): u32 {
  return (stream * 0x9e3779b1) >> shift;
}

function freePlace(stream: u32): usize {
  let at = placeOf(stream);
  while (true) {
    const record = table + at * RECORD_BYTES;
    const own = load<u32>(record);
    if (own == 0 || own == GONE) return record;
    at = (at + 1) & (places - 1);
  }
}

/** Takes more places. What was there before lies idle. @returns false without memory */
function grow(to: u32): bool {
  const fresh = reserve(<u64>to * RECORD_BYTES);
  if (fresh == 0) return false;
  const old = table;
  const before = places;
  table = fresh;
  places = to;
  shift = clz<u32>(to) + 1;
  filled = count;
  for (let i: u32 = 0; i < before; i++) {
    const record = old + i * RECORD_BYTES;
    const stream = load<u32>(record);
    if (stream != 0 && stream != GONE) memory.copy(freePlace(stream), record, RECORD_BYTES);
  }
  return true;
}

/** Clears the places of taken records away: each live one is put where it belongs, which one round of the table does. */
function rebuild(): void {
  // From behind a place that was always free on, so that no run is met in its middle.
  let first: u32 = 0;
  while (load<u32>(table + first * RECORD_BYTES) != 0) first++;
  for (let i: u32 = 0; i < places; i++) {
    const record = table + i * RECORD_BYTES;
    if (load<u32>(record) == GONE) store<u32>(record, 0);
  }
  filled = count;
  for (let i: u32 = 1; i < places; i++) {
    const record = table + ((first + i) & (places - 1)) * RECORD_BYTES;
    const stream = load<u32>(record);
    if (stream == 0) continue;
    store<u32>(record, 0);
    const to = freePlace(stream);
    if (to == record) store<u32>(record, stream);
    else {
      memory.copy(to, record, RECORD_BYTES);
      store<u32>(to, stream);
    }
  }
}
