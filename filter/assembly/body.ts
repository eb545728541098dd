import { NS_PER_MS, presentNs } from './clock';
import { corrupt } from './corrupt';
import { CUT, holdPiece, OF_RESPONSE, PIECE } from './delays';
import { drawPiece } from './draw-delay';
import { bodyBytes, closeStream, continueStream, replaceBody, resultAt, resultLength } from './host';
import {
  ACTION_REQUEST,
  ACTION_RESPONSE,
  CHANGE_BODY,
  CHANGE_BODY_LENGTH,
  CHANGE_BYTES_PER_SECOND,
  CHANGE_CORRUPT,
  CHANGE_CUTS,
  CHANGE_FLAGS,
  CHANGE_PIECE_JITTER_MS,
  CHANGE_PIECE_MS,
  CHANGE_REPLACES,
  CHANGE_SHORTENS,
  CHANGE_TRUNCATE_AT,
} from './layout';
import { holdUntil } from './loop';
import {
  ANSWER_LEFT,
  actionOf,
  addState,
  BODY_STAYS_REQUEST,
  BODY_STAYS_RESPONSE,
  CUT_OFF,
  dropState,
  ENDED,
  LENGTH_SAID_REQUEST,
  LENGTH_SAID_RESPONSE,
  PIECE_HELD_REQUEST,
  PIECE_HELD_RESPONSE,
  stateOf,
  tracked,
  WAY_BYTES,
  WAY_FREE,
  wayOf,
} from './streams';

/** Changing the body of a message piece by piece, as it comes by. */

const GO: u32 = 0;
/** StopIterationAndWatermark: what is held is kept, and the sender slowed down. */
const HOLD: u32 = 2;
/** StopIterationNoBuffer: the piece is thrown away. */
const DROP: u32 = 3;

const NS_PER_S: u64 = 1_000_000_000;
/** What was let through before a cut must have left by then. */
const CUT_AFTER_NS: u64 = 5 * NS_PER_MS;

/** @param size the piece's bytes @param last whether it is the message's last @returns what the host is to do */
export function bodyPiece(stream: u32, size: u32, last: bool, response: bool): u32 {
  const record = tracked(stream);
  if (record == 0) return GO;
  const action = actionOf(record);
  const offset = load<u32>(action + (response ? ACTION_RESPONSE : ACTION_REQUEST));
  if (offset == 0) return GO;
  const change = action + offset;
  const state = stateOf(record);
  if (response && (state & ANSWER_LEFT) != 0) return GO;
  if (response && (state & CUT_OFF) != 0) {
    closeStream(true);
    return DROP;
  }
  const way = wayOf(record, response);
  const before = load<u32>(way + WAY_BYTES);
  // A body of more than 4 GiB counts on from there as one that is long enough for anything.
  store<u32>(way + WAY_BYTES, before + size < before ? 0xffffffff : before + size);
  const ended = (state & ENDED) != 0;
  let length = size;
  if ((state & (response ? BODY_STAYS_RESPONSE : BODY_STAYS_REQUEST)) == 0) {
    const flags = load<u32>(change + CHANGE_FLAGS);
    if ((flags & CHANGE_REPLACES) != 0) length = replace(action, change, before, size, last, response);
    else if (!ended && (flags & (CHANGE_CUTS | CHANGE_SHORTENS)) != 0) length = shorten(change, before, size, response);
    else if (ended && (flags & CHANGE_SHORTENS) != 0) {
      if ((state & (response ? LENGTH_SAID_RESPONSE : LENGTH_SAID_REQUEST)) != 0) length = shorten(change, before, size, response);
      else if (before > load<u32>(change + CHANGE_TRUNCATE_AT)) {
        // It may go on for ever, and what it has lost already is gone.
        closeStream(response);
        return DROP;
      }
    }
    if (!ended && length != 0 && load<u32>(change + CHANGE_CORRUPT) != 0) corrupt(change, before, length, response);
    if ((flags & CHANGE_CUTS) != 0 && length != size) return cut(stream, record, last);
  }
  return ended ? GO : slow(stream, record, change, way, length, response);
}

/** Puts the whole new body in the place of the first piece, and nothing in that of the others. */
function replace(action: usize, change: usize, before: u32, size: u32, last: bool, response: bool): u32 {
  // A first piece without bytes that isn't the last: what comes then is the first.
  if (before == 0 && size == 0 && !last) return 0;
  const length: u32 = before == 0 ? load<u32>(change + CHANGE_BODY_LENGTH) : 0;
  replaceBody(response, size, action + load<u32>(change + CHANGE_BODY), length);
  return length;
}

function shorten(change: usize, before: u32, size: u32, response: bool): u32 {
  const most = load<u32>(change + CHANGE_TRUNCATE_AT);
  const left: u32 = before >= most ? 0 : most - before;
  if (left >= size) return size;
  // The host takes no piece out of the middle: all of it is put anew.
  if (left == 0 || !bodyBytes(response, left)) replaceBody(response, size, 0, 0);
  else replaceBody(response, size, resultAt, min<u32>(left, resultLength));
  return left;
}

/** Breaks a response off behind what has gone through. */
function cut(stream: u32, record: usize, last: bool): u32 {
  if (last) {
    // What goes with the end can't go without it.
    closeStream(true);
    return DROP;
  }
  addState(record, CUT_OFF);
  const now = presentNs();
  if (holdPiece(stream, now, now + CUT_AFTER_NS, CUT | OF_RESPONSE)) holdUntil(now + CUT_AFTER_NS, stream);
  return GO;
}

/** Holds a piece as long as its bytes take at the rule's rate. */
function slow(stream: u32, record: usize, change: usize, way: usize, length: u32, response: bool): u32 {
  const rate = <u64>load<u32>(change + CHANGE_BYTES_PER_SECOND);
  const pieceMs = load<u32>(change + CHANGE_PIECE_MS);
  const held = response ? PIECE_HELD_RESPONSE : PIECE_HELD_REQUEST;
  const waiting = (stateOf(record) & held) != 0;
  if (length == 0 || (rate == 0 && pieceMs == 0)) return waiting ? HOLD : GO;
  const now = presentNs();
  const pieceNs = drawPiece(pieceMs, load<u32>(change + CHANGE_PIECE_JITTER_MS));
  const free = max<u64>(load<u64>(way + WAY_FREE), now) + pieceNs + (rate == 0 ? 0 : (<u64>length * NS_PER_S) / rate);
  store<u64>(way + WAY_FREE, free);
  if (waiting) return HOLD;
  if (!holdPiece(stream, now, free, PIECE | (response ? OF_RESPONSE : 0))) return GO;
  addState(record, held);
  holdUntil(free, stream);
  return HOLD;
}

/** The time of a held piece has come; when more came meanwhile, all of it waits on. */
export function pieceIsDue(stream: u32, record: usize, response: bool, now: u64): void {
  const free = load<u64>(wayOf(record, response) + WAY_FREE);
  if (free > now && holdPiece(stream, now, free, PIECE | (response ? OF_RESPONSE : 0))) return;
  dropState(record, response ? PIECE_HELD_RESPONSE : PIECE_HELD_REQUEST);
  continueStream(response);
}
