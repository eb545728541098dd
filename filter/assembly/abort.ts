import { arenaAllocate } from './arena';
import { isGrpcType } from './grpc';
import { closeStream, note, noted, requestHeader, requestHeaderAt, resultAt, resultLength, sendResponse } from './host';
import {
  ABORT_BODY,
  ABORT_BODY_LENGTH,
  ABORT_FLAGS,
  ABORT_GRPC,
  ABORT_GRPC_STATUS,
  ABORT_HTTP_STATUS,
  ABORT_PAIRS,
  ABORT_PAIRS_LENGTH,
  ABORT_SEGMENT_COUNT,
  ABORT_SEGMENTS,
  ACTION_ABORT,
  SEGMENT_BYTES,
  SEGMENT_HEADER,
  SEGMENT_KIND,
  SEGMENT_LENGTH,
  SEGMENT_OFFSET,
} from './layout';
import { countAbort, countReset } from './metrics';
import { addState, GRPC_CALL, stateOf } from './streams';
import { count } from './tallies';
import { ABORTED, RESET } from './tally-layout';

/** Answering a request in the service's place, or cutting it off. */

const NO_GRPC: u32 = 0xffffffff;

/** Set by `composeBody`. */
let bodyAt: usize = 0;
let bodyLength: u32 = 0;

/** What a composed body waits under for the response. */
const BODY_NOTE = 'hfi_body';

/** Notes of a request whose response will be aborted what the host doesn't tell any more by then. */
export function rememberRequest(record: usize, action: usize): void {
  const abort = action + load<u32>(action + ACTION_ABORT);
  if ((load<u32>(abort + ABORT_FLAGS) & ABORT_GRPC) != 0 && isGrpcCall()) addState(record, GRPC_CALL);
  if (load<u32>(abort + ABORT_SEGMENT_COUNT) == 0) return;
  composeBody(action, abort);
  note(BODY_NOTE, bodyAt, bodyLength);
}

/**
 * Aborts the request whose callback is running, or from the timer the acting one.
 *
 * @param record of the stream; 0 when it is aborted at its head
 * @param response whether it is the service's answer that is taken away
 * @param details for the access log
 */
export function abortAs(action: usize, record: usize, response: bool, details: string): void {
  const abort = action + load<u32>(action + ACTION_ABORT);
  const status = load<u32>(abort + ABORT_HTTP_STATUS);
  if (status == 0) {
    closeStream(response);
    countReset();
    count(action, RESET);
    return;
  }
  const grpc = (load<u32>(abort + ABORT_FLAGS) & ABORT_GRPC) != 0 && (response ? (stateOf(record) & GRPC_CALL) != 0 : isGrpcCall());
  if (response && load<u32>(abort + ABORT_SEGMENT_COUNT) != 0) {
    noted(BODY_NOTE);
    bodyAt = resultAt;
    bodyLength = resultLength;
  } else {
    composeBody(action, abort);
  }
  sendResponse(
    grpc ? 200 : status,
    details,
    bodyAt,
    bodyLength,
    action + load<u32>(abort + ABORT_PAIRS),
    load<u32>(abort + ABORT_PAIRS_LENGTH),
    grpc ? load<u32>(abort + ABORT_GRPC_STATUS) : NO_GRPC,
  );
  countAbort();
  count(action, ABORTED);
}

function isGrpcCall(): bool {
  return requestHeader('content-type') && isGrpcType(resultAt, resultLength);
}

/** No more segments are read, and no longer body is put together. */
const MOST_SEGMENTS: u32 = 256;
const MOST_BYTES: u32 = 1024 * 1024;
/** Where each segment's bytes lie, and how many they are. */
const pieces: usize = memory.data(2048, 4);

/** The body as it stands in the action, or put together in the arena. What there is no memory for is left out. */
function composeBody(action: usize, abort: usize): void {
  const count = min<u32>(load<u32>(abort + ABORT_SEGMENT_COUNT), MOST_SEGMENTS);
  bodyAt = action + load<u32>(abort + ABORT_BODY);
  bodyLength = load<u32>(abort + ABORT_BODY_LENGTH);
  if (count == 0) return;
  const segments = action + load<u32>(abort + ABORT_SEGMENTS);
  let total: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const segment = segments + i * SEGMENT_BYTES;
    let at = action + load<u32>(segment + SEGMENT_OFFSET);
    let length = load<u32>(segment + SEGMENT_LENGTH);
    if (load<u32>(segment + SEGMENT_KIND) == SEGMENT_HEADER) {
      requestHeaderAt(at, length);
      at = resultAt;
      length = resultLength;
    }
    length = min<u32>(length, MOST_BYTES - total);
    store<u32>(pieces + i * 8, <u32>at);
    store<u32>(pieces + i * 8 + 4, length);
    total += length;
  }
  bodyAt = arenaAllocate(total);
  bodyLength = bodyAt == 0 ? 0 : total;
  if (bodyAt == 0) return;
  let to = bodyAt;
  for (let i: u32 = 0; i < count; i++) {
    const length = load<u32>(pieces + i * 8 + 4);
    memory.copy(to, load<u32>(pieces + i * 8), length);
    to += length;
  }
}
