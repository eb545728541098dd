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
  if (isGrpcCall()) addState(record, GRPC_CALL);
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
    return;
  }
  const isGrpc = response ? (stateOf(record) & GRPC_CALL) != 0 : isGrpcCall();
  const grpc = (load<u32>(abort + ABORT_FLAGS) & ABORT_GRPC) != 0 && isGrpc;
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
}

function isGrpcCall(): bool {
  return requestHeader('content-type') && isGrpcType(resultAt, resultLength);
}

/** The body as it stands in the action, or put together in the arena. What there is no memory for is left out. */
function composeBody(action: usize, abort: usize): void {
  const count = load<u32>(abort + ABORT_SEGMENT_COUNT);
  bodyAt = action + load<u32>(abort + ABORT_BODY);
  bodyLength = load<u32>(abort + ABORT_BODY_LENGTH);
  if (count == 0) return;
  const segments = action + load<u32>(abort + ABORT_SEGMENTS);
  for (let i: u32 = 0; i < count; i++) {
    const segment = segments + i * SEGMENT_BYTES;
    const text = action + load<u32>(segment + SEGMENT_OFFSET);
    const length = load<u32>(segment + SEGMENT_LENGTH);
    if (load<u32>(segment + SEGMENT_KIND) != SEGMENT_HEADER) append(text, length);
    else if (requestHeaderAt(text, length)) append(resultAt, resultLength);
  }
}

function append(from: usize, length: u32): void {
  const to = arenaAllocate(bodyLength + length);
  if (to == 0) return;
  memory.copy(to, bodyAt, bodyLength);
  memory.copy(to + bodyLength, from, length);
  bodyAt = to;
  bodyLength += length;
}
