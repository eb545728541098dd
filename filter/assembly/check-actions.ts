import { base, inside } from './bounds';
import {
  ABORT_BODY,
  ABORT_BODY_LENGTH,
  ABORT_BYTES,
  ABORT_GRPC_STATUS,
  ABORT_HTTP_STATUS,
  ABORT_PAIRS,
  ABORT_PAIRS_LENGTH,
  ABORT_SEGMENT_COUNT,
  ABORT_SEGMENTS,
  ACTION_ABORT,
  ACTION_BYTES,
  ACTION_DELAY,
  ACTION_REQUEST,
  ACTION_RESPONSE,
  CHANGE_BODY,
  CHANGE_BODY_LENGTH,
  CHANGE_BYTES,
  CHANGE_HEADER_COUNT,
  CHANGE_HEADERS,
  CHANGE_REWRITE,
  CHANGE_STATUS,
  CHANGE_TRAILER_COUNT,
  CHANGE_TRAILERS,
  DELAY_BYTES,
  DELAY_HEADER,
  DELAY_HEADER_LENGTH,
  DELAY_QUANTILE_COUNT,
  DELAY_QUANTILES,
  FIELD_CHANGE_BYTES,
  FIELD_CHANGE_NAME,
  FIELD_CHANGE_NAME_LENGTH,
  FIELD_CHANGE_VALUE,
  FIELD_CHANGE_VALUE_LENGTH,
  QUANTILE_BYTES,
  QUANTILE_SHARE,
  QUANTILE_US,
  REWRITE_BYTES,
  REWRITE_PARAMETER_COUNT,
  REWRITE_PARAMETERS,
  REWRITE_PATH,
  REWRITE_PATH_LENGTH,
  REWRITE_PREFIX,
  REWRITE_PREFIX_LENGTH,
  SEGMENT_BYTES,
  SEGMENT_LENGTH,
  SEGMENT_OFFSET,
} from './layout';

/** The largest code of gRPC (google/rpc/code.proto). */
const MOST_GRPC_STATUS: u32 = 16;
/** Field changes that the filter would go through for one request: three lists of the schema's most. */
const MOST_ENTRIES: u32 = 256;
const MOST_SEGMENTS: u32 = 256;
/** Bytes that a rule may add to a path. */
const MOST_REWRITTEN: u64 = 1024 * 1024;

/** The action that is being checked. */
let action: usize = 0;
let length: u32 = 0;

/** Checks an action: afterwards no offset in it leads out of it. */
export function actionHolds(offset: u32, size: u32): bool {
  if (!inside(offset, size, 1) || size < ACTION_BYTES) return false;
  action = base + offset;
  length = size;
  const delay = load<u32>(action + ACTION_DELAY);
  const abort = load<u32>(action + ACTION_ABORT);
  const request = load<u32>(action + ACTION_REQUEST);
  const response = load<u32>(action + ACTION_RESPONSE);
  return (
    (delay == 0 || delayHolds(delay)) &&
    (abort == 0 || abortHolds(abort)) &&
    (request == 0 || changeHolds(request)) &&
    (response == 0 || changeHolds(response))
  );
}

function within(offset: u32, count: u32, each: u32): bool {
  return <u64>offset + <u64>count * <u64>each <= <u64>length;
}

function delayHolds(offset: u32): bool {
  if (!within(offset, 1, DELAY_BYTES)) return false;
  const count = load<u32>(action + offset + DELAY_QUANTILE_COUNT);
  const table = load<u32>(action + offset + DELAY_QUANTILES);
  if (!within(table, count, QUANTILE_BYTES)) return false;
  if (!within(load<u32>(action + offset + DELAY_HEADER), load<u32>(action + offset + DELAY_HEADER_LENGTH), 1)) return false;
  for (let i: u32 = 1; i < count; i++) {
    const entry = action + table + i * QUANTILE_BYTES;
    const before = entry - QUANTILE_BYTES;
    if (load<u32>(entry + QUANTILE_SHARE) < load<u32>(before + QUANTILE_SHARE)) return false;
    if (load<u32>(entry + QUANTILE_US) < load<u32>(before + QUANTILE_US)) return false;
  }
  return true;
}

/** The host takes any number for a status; these are the ones that a response can have. */
function isStatusOrNone(status: u32): bool {
  return status == 0 || (status >= 200 && status <= 599);
}

function abortHolds(offset: u32): bool {
  if (!within(offset, 1, ABORT_BYTES)) return false;
  const abort = action + offset;
  if (!isStatusOrNone(load<u32>(abort + ABORT_HTTP_STATUS))) return false;
  if (load<u32>(abort + ABORT_GRPC_STATUS) > MOST_GRPC_STATUS) return false;
  if (!pairsHold(load<u32>(abort + ABORT_PAIRS), load<u32>(abort + ABORT_PAIRS_LENGTH))) return false;
  if (!within(load<u32>(abort + ABORT_BODY), load<u32>(abort + ABORT_BODY_LENGTH), 1)) return false;
  const segments = load<u32>(abort + ABORT_SEGMENTS);
  const count = load<u32>(abort + ABORT_SEGMENT_COUNT);
  if (count > MOST_SEGMENTS || !within(segments, count, SEGMENT_BYTES)) return false;
  for (let i: u32 = 0; i < count; i++) {
    const segment = action + segments + i * SEGMENT_BYTES;
    if (!within(load<u32>(segment + SEGMENT_OFFSET), load<u32>(segment + SEGMENT_LENGTH), 1)) return false;
  }
  return true;
}

/** Headers as the host reads them: count, a pair of lengths each, then just the bytes that these lengths announce. */
function pairsHold(offset: u32, size: u32): bool {
  if (!within(offset, size, 1)) return false;
  if (size == 0) return true;
  if (size < 4) return false;
  const pairs = action + offset;
  const count = load<u32>(pairs);
  let needed: u64 = 4 + <u64>count * 8;
  if (needed > <u64>size) return false;
  for (let i: u32 = 0; i < count; i++) {
    needed += <u64>load<u32>(pairs + 4 + i * 8) + <u64>load<u32>(pairs + 8 + i * 8) + 2;
  }
  return needed == <u64>size;
}

function changeHolds(offset: u32): bool {
  if (!within(offset, 1, CHANGE_BYTES)) return false;
  const change = action + offset;
  const rewrite = load<u32>(change + CHANGE_REWRITE);
  return (
    (rewrite == 0 || rewriteHolds(rewrite)) &&
    isStatusOrNone(load<u32>(change + CHANGE_STATUS)) &&
    within(load<u32>(change + CHANGE_BODY), load<u32>(change + CHANGE_BODY_LENGTH), 1) &&
    fieldsHold(load<u32>(change + CHANGE_HEADERS), load<u32>(change + CHANGE_HEADER_COUNT)) &&
    fieldsHold(load<u32>(change + CHANGE_TRAILERS), load<u32>(change + CHANGE_TRAILER_COUNT))
  );
}

function rewriteHolds(offset: u32): bool {
  if (!within(offset, 1, REWRITE_BYTES)) return false;
  const rewrite = action + offset;
  const parameters = load<u32>(rewrite + REWRITE_PARAMETERS);
  const count = load<u32>(rewrite + REWRITE_PARAMETER_COUNT);
  let bytes: u64 = load<u32>(rewrite + REWRITE_PATH_LENGTH);
  if (!within(load<u32>(rewrite + REWRITE_PATH), <u32>bytes, 1)) return false;
  if (!within(load<u32>(rewrite + REWRITE_PREFIX), load<u32>(rewrite + REWRITE_PREFIX_LENGTH), 1)) return false;
  if (!fieldsHold(parameters, count)) return false;
  for (let i: u32 = 0; i < count; i++) bytes += <u64>load<u32>(action + parameters + i * FIELD_CHANGE_BYTES + FIELD_CHANGE_VALUE_LENGTH);
  return bytes <= MOST_REWRITTEN;
}

function fieldsHold(offset: u32, count: u32): bool {
  if (count > MOST_ENTRIES || !within(offset, count, FIELD_CHANGE_BYTES)) return false;
  for (let i: u32 = 0; i < count; i++) {
    const field = action + offset + i * FIELD_CHANGE_BYTES;
    if (!within(load<u32>(field + FIELD_CHANGE_NAME), load<u32>(field + FIELD_CHANGE_NAME_LENGTH), 1)) return false;
    if (!within(load<u32>(field + FIELD_CHANGE_VALUE), load<u32>(field + FIELD_CHANGE_VALUE_LENGTH), 1)) return false;
  }
  return true;
}
