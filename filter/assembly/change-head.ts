import { changeFields } from './change-fields';
import {
  REQUEST_HEADERS,
  RESPONSE_HEADERS,
  removeNamed,
  replaceWithText,
  requestHeader,
  responseHeader,
  resultAt,
  resultLength,
} from './host';
import {
  CHANGE_BODY_LENGTH,
  CHANGE_CORRUPT,
  CHANGE_CUTS,
  CHANGE_FLAGS,
  CHANGE_HEADER_COUNT,
  CHANGE_HEADERS,
  CHANGE_REPLACES,
  CHANGE_REWRITE,
  CHANGE_SHORTENS,
  CHANGE_STATUS,
  CHANGE_TRUNCATE_AT,
} from './layout';
import { rewritePath } from './rewrite';
import { addState, BODY_STAYS_REQUEST, BODY_STAYS_RESPONSE, LENGTH_SAID_REQUEST, LENGTH_SAID_RESPONSE, stateOf } from './streams';
import { addBytes, addNumber, beginText, equalsAscii, readNumber } from './text';

/** Changing the head of a message, so that it is right for the body that follows. */

/** @param last whether no body follows */
export function changeRequestHead(record: usize, action: usize, change: usize, last: bool): void {
  // The answer to any other method would be no answer to these.
  const keepsMethod = requestHeader(':method') && (isMethod('HEAD') || isMethod('CONNECT'));
  beginText();
  if (keepsMethod) addBytes(resultAt, resultLength);
  changeFields(REQUEST_HEADERS, action, load<u32>(change + CHANGE_HEADERS), load<u32>(change + CHANGE_HEADER_COUNT));
  if (keepsMethod) replaceWithText(REQUEST_HEADERS, ':method');
  const rewrite = load<u32>(change + CHANGE_REWRITE);
  if (rewrite != 0) rewritePath(action, action + rewrite);
  if (last || !touchesBody(change)) return;
  if (isTunnel() || requestHeader('upgrade')) {
    addState(record, BODY_STAYS_REQUEST);
    return;
  }
  announce(record, REQUEST_HEADERS, change, 0);
}

/** @param last whether no body follows */
export function changeResponseHead(record: usize, action: usize, change: usize, last: bool): void {
  const touches = !last && touchesBody(change);
  const status = load<u32>(change + CHANGE_STATUS);
  const before = touches || status != 0 ? statusNow() : 0;
  const tunnel = (stateOf(record) & BODY_STAYS_RESPONSE) != 0;
  // With another status the connection would be a tunnel to Envoy and none to the caller, who would send its next request into it.
  const opens = before == 101 || (tunnel && before >= 200 && before < 300);
  if (status != 0 && !opens) setStatus(status);
  changeFields(RESPONSE_HEADERS, action, load<u32>(change + CHANGE_HEADERS), load<u32>(change + CHANGE_HEADER_COUNT));
  if (tunnel || before == 101) addState(record, BODY_STAYS_RESPONSE);
  else if (touches) announce(record, RESPONSE_HEADERS, change, before);
}

function touchesBody(change: usize): bool {
  const flags = load<u32>(change + CHANGE_FLAGS);
  return (flags & (CHANGE_REPLACES | CHANGE_CUTS | CHANGE_SHORTENS)) != 0 || load<u32>(change + CHANGE_CORRUPT) != 0;
}

/** Says of the body what it will be. @param before the response's status, 0 in a request */
function announce(record: usize, map: i32, change: usize, before: u32): void {
  const flags = load<u32>(change + CHANGE_FLAGS);
  if ((flags & CHANGE_REPLACES) != 0) {
    removeNamed(map, 'content-encoding');
    const status = load<u32>(change + CHANGE_STATUS);
    if (before != 0) {
      removeNamed(map, 'content-range');
      if (before == 206 && status == 0) setStatus(200);
    }
    if (status == 204 || status == 205 || status == 304) removeNamed(map, 'content-length');
    else setLength(map, load<u32>(change + CHANGE_BODY_LENGTH));
  } else if ((flags & CHANGE_SHORTENS) != 0 && (before == 0 ? requestHeader('content-length') : responseHeader('content-length'))) {
    const most = load<u32>(change + CHANGE_TRUNCATE_AT);
    addState(record, before == 0 ? LENGTH_SAID_REQUEST : LENGTH_SAID_RESPONSE);
    if (readNumber(resultAt, resultLength) > <u64>most) setLength(map, most);
  }
}

function setLength(map: i32, length: u32): void {
  beginText();
  addNumber(length);
  replaceWithText(map, 'content-length');
}

function setStatus(status: u32): void {
  beginText();
  addNumber(status);
  replaceWithText(RESPONSE_HEADERS, ':status');
}

/** The status of the response whose callback is running. */
export function statusNow(): u32 {
  return responseHeader(':status') ? <u32>readNumber(resultAt, resultLength) : 0;
}

/** Whether the request is for a tunnel, whose bytes are no message of HTTP's. */
export function isTunnel(): bool {
  return requestHeader(':method') && isMethod('CONNECT');
}

/** Whether the header that was just read is this. */
function isMethod(name: string): bool {
  return equalsAscii(resultAt, resultLength, name);
}
