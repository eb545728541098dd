import { arenaAllocate } from './arena';
import { isGrpcType } from './grpc';
import { findHeader, foundAt, foundLength } from './header-in';
import { property, resultAt, resultLength } from './host';
import {
  FIELD_BYTES,
  FIELD_KIND,
  FIELD_PATH,
  KIND_GRPC_METHOD,
  KIND_GRPC_SERVICE,
  KIND_PORT,
  KIND_SOURCE,
  KIND_SOURCE_ACCOUNT,
  KIND_SOURCE_NAMESPACE,
} from './layout';
import { fill, isFilled, lengthIn, valueIn } from './slots';
import { addAscii, addNumber, beginText, putText, startsWithAscii, textLength, textStart } from './text';

/** The certificate's URI of the present request's caller. */
let sourceAt: usize = 0;
let sourceLength: u32 = 0;
let sourceAsked = false;

/**
 * Fills the fields that are neither a header nor in the path or a cookie. A table has at most one of each kind.
 *
 * @param fields where the fields' records lie
 * @param from index of the first of them
 * @param headers the header map's bytes, found well-formed before
 */
export function fillDerived(fields: usize, from: u32, fieldCount: u32, headers: usize, headerCount: u32): void {
  sourceAsked = false;
  for (let field = from; field < fieldCount; field++) {
    const kind = load<u32>(fields + field * FIELD_BYTES + FIELD_KIND);
    if (kind == KIND_GRPC_SERVICE || kind == KIND_GRPC_METHOD) fillGrpc(field, kind, headers, headerCount);
    else if (kind == KIND_SOURCE) fillSource(field, '');
    else if (kind == KIND_SOURCE_NAMESPACE) fillSource(field, '/ns/');
    else if (kind == KIND_SOURCE_ACCOUNT) fillSource(field, '/sa/');
    else if (kind == KIND_PORT) fillPort(field);
  }
}

/** `/package.Service/Method` (gRPC over HTTP/2, "Path"). */
function fillGrpc(field: u32, kind: u32, headers: usize, headerCount: u32): void {
  if (!isFilled(FIELD_PATH) || !findHeader(headers, headerCount, 'content-type') || !isGrpcType(foundAt, foundLength)) return;
  const path = valueIn(FIELD_PATH);
  const end = path + lengthIn(FIELD_PATH);
  if (path == end || load<u8>(path) != 0x2f) return;
  let slash = path + 1;
  while (slash < end && load<u8>(slash) != 0x2f) slash++;
  if (slash == end) return;
  if (kind == KIND_GRPC_SERVICE) fill(field, path + 1, <u32>(slash - path - 1));
  else fill(field, slash + 1, <u32>(end - slash - 1));
}

/** @param behind what stands in front of the part of the URI that is wanted; empty for all of it */
function fillSource(field: u32, behind: string): void {
  if (!sourceAsked) {
    sourceAsked = true;
    beginText();
    addAscii('connection\0uri_san_peer_certificate');
    const known = property(textStart(), textLength());
    sourceAt = known ? resultAt : 0;
    sourceLength = known ? resultLength : 0;
  }
  if (sourceLength == 0) return;
  if (behind.length == 0) {
    fill(field, sourceAt, sourceLength);
    return;
  }
  for (let i: u32 = 0; i < sourceLength; i++) {
    if (!startsWithAscii(sourceAt + i, sourceLength - i, behind)) continue;
    const part = sourceAt + i + behind.length;
    let end = part;
    while (end < sourceAt + sourceLength && load<u8>(end) != 0x2f) end++;
    fill(field, part, <u32>(end - part));
    return;
  }
}

function fillPort(field: u32): void {
  beginText();
  addAscii('destination\0port');
  // Envoy gives numbers as 64 bits, little-endian.
  if (!property(textStart(), textLength()) || resultLength < 8) return;
  const port = load<u64>(resultAt);
  beginText();
  addNumber(port);
  const digits = arenaAllocate(textLength());
  if (digits == 0) return;
  putText(digits);
  fill(field, digits, textLength());
}
