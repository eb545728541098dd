import { arenaAllocate } from './arena';
import { REQUEST_HEADERS, replaceNamed, requestHeader, resultAt, resultLength } from './host';
import {
  FIELD_ADD,
  FIELD_CHANGE_BYTES,
  FIELD_CHANGE_NAME,
  FIELD_CHANGE_NAME_LENGTH,
  FIELD_CHANGE_OPERATION,
  FIELD_CHANGE_VALUE,
  FIELD_CHANGE_VALUE_LENGTH,
  FIELD_SET,
  REWRITE_PARAMETER_COUNT,
  REWRITE_PARAMETERS,
  REWRITE_PATH,
  REWRITE_PATH_LENGTH,
  REWRITE_PREFIX,
  REWRITE_PREFIX_LENGTH,
} from './layout';
import { decode, decodedAt, decodedLength } from './query';
import { same } from './text';

/** Changing a request's path and its query; what isn't named stays byte for byte. */

const MOST_PARAMETERS: u32 = 256;
/** Which of the rule's parameters stand in the new query already. */
const placed: usize = memory.data(256);
const NO_PARAMETER: u32 = 0xffffffff;

const QUESTION_MARK: u32 = 0x3f;
const HASH: u32 = 0x23;
const AMPERSAND: u32 = 0x26;
const EQUALS: u32 = 0x3d;

/** What the present change's offsets count from, and its parameters. */
let action: usize = 0;
let parameters: usize = 0;
let count: u32 = 0;
/** Where the next byte of the new path goes, whether it has a query yet, and whether that ends with its mark or a separator. */
let to: usize = 0;
let hasQuery = false;
let open = false;

/** @param from what the offsets count from @param rewrite the record */
export function rewritePath(from: usize, rewrite: usize): void {
  if (!requestHeader(':path')) return;
  const path = resultAt;
  const end = path + resultLength;
  action = from;
  parameters = action + load<u32>(rewrite + REWRITE_PARAMETERS);
  count = min<u32>(load<u32>(rewrite + REWRITE_PARAMETER_COUNT), MOST_PARAMETERS);
  const start = arenaAllocate(resultLength + load<u32>(rewrite + REWRITE_PATH_LENGTH) + written());
  if (start == 0) return;
  to = start;
  hasQuery = false;
  open = false;
  memory.fill(placed, 0, count);

  const query = endOf(path, end, QUESTION_MARK, HASH);
  putPath(rewrite, path, query);
  const fragment = endOf(query, end, HASH, HASH);
  if (query != fragment) changeQuery(query + 1, fragment);
  for (let i: u32 = 0; i < count; i++) {
    const operation = operationOf(i);
    if (operation == FIELD_ADD || (operation == FIELD_SET && load<u8>(placed + i) == 0)) append(i);
  }
  put(fragment, end);
  replaceNamed(REQUEST_HEADERS, ':path', start, <u32>(to - start));
}

function putPath(rewrite: usize, path: usize, end: usize): void {
  const length = load<u32>(rewrite + REWRITE_PATH_LENGTH);
  const prefix = action + load<u32>(rewrite + REWRITE_PREFIX);
  const prefixLength = load<u32>(rewrite + REWRITE_PREFIX_LENGTH);
  if (length == 0 || prefixLength > end - path || !same(prefix, path, prefixLength)) {
    put(path, end);
    return;
  }
  const text = action + load<u32>(rewrite + REWRITE_PATH);
  put(text, text + length);
  if (prefixLength != 0) put(path + prefixLength, end);
}

/** How many bytes of parameters the rule adds at most; the ruleset's check bounds their sum. */
function written(): u32 {
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) bytes += 1 + load<u32>(parameters + i * FIELD_CHANGE_BYTES + FIELD_CHANGE_VALUE_LENGTH);
  return bytes;
}

function changeQuery(from: usize, end: usize): void {
  let at = from;
  while (true) {
    const piece = at;
    at = endOf(piece, end, AMPERSAND, AMPERSAND);
    decode(piece, <u32>(endOf(piece, at, EQUALS, EQUALS) - piece));
    const parameter = parameterNamed();
    if (parameter == NO_PARAMETER) {
      separate();
      put(piece, at);
    } else if (operationOf(parameter) == FIELD_SET && load<u8>(placed + parameter) == 0) {
      store<u8>(placed + parameter, 1);
      separate();
      putText(parameter);
    }
    if (at == end) return;
    at++;
  }
}

/** @returns which of the rule's parameters to set or remove has the name decoded last */
function parameterNamed(): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const parameter = parameters + i * FIELD_CHANGE_BYTES;
    if (load<u32>(parameter + FIELD_CHANGE_NAME_LENGTH) != decodedLength || operationOf(i) == FIELD_ADD) continue;
    if (same(action + load<u32>(parameter + FIELD_CHANGE_NAME), decodedAt, decodedLength)) return i;
  }
  return NO_PARAMETER;
}

function operationOf(parameter: u32): u32 {
  return load<u32>(parameters + parameter * FIELD_CHANGE_BYTES + FIELD_CHANGE_OPERATION);
}

/** Adds a parameter behind all others. */
function append(parameter: u32): void {
  if (!open) separate();
  putText(parameter);
}

function separate(): void {
  store<u8>(to, <u8>(hasQuery ? AMPERSAND : QUESTION_MARK));
  to++;
  hasQuery = true;
  open = true;
}

function putText(parameter: u32): void {
  const record = parameters + parameter * FIELD_CHANGE_BYTES;
  const text = action + load<u32>(record + FIELD_CHANGE_VALUE);
  put(text, text + load<u32>(record + FIELD_CHANGE_VALUE_LENGTH));
}

function put(from: usize, end: usize): void {
  if (from == end) return;
  memory.copy(to, from, end - from);
  to += end - from;
  open = false;
}

/** @returns where the first of two bytes is, or the end */
function endOf(from: usize, end: usize, byte: u32, other: u32): usize {
  let at = from;
  while (at < end && <u32>load<u8>(at) != byte && <u32>load<u8>(at) != other) at++;
  return at;
}
