import { arenaAllocate } from './arena';
import { isGrpcType } from './grpc';
import { findHeader, foundAt, foundLength } from './header-in';
import { property, resultAt, resultLength } from './host';
import {
  FIELD_BYTES,
  FIELD_KIND,
  FIELD_NAME,
  FIELD_NAME_LENGTH,
  FIELD_PATH,
  KIND_GRPC_METHOD,
  KIND_GRPC_SERVICE,
  KIND_PORT,
  KIND_PROPERTY,
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
 * Fills the fields that are neither a header nor in the path or a cookie.
 *
 * @param block the ruleset
 * @param fields where the fields' records lie
 * @param from index of the first of them
 * @param headers the header map's bytes, found well-formed before
 */
export function fillDerived(block: usize, fields: usize, from: u32, fieldCount: u32, headers: usize, headerCount: u32): void {
  sourceAsked = false;
  for (let field = from; field < fieldCount; field++) {
    const record = fields + field * FIELD_BYTES;
    const kind = load<u32>(record + FIELD_KIND);
    if (kind == KIND_GRPC_SERVICE || kind == KIND_GRPC_METHOD) fillGrpc(field, kind, headers, headerCount);
    else if (kind == KIND_SOURCE || kind == KIND_SOURCE_NAMESPACE || kind == KIND_SOURCE_ACCOUNT) fillSource(field, kind);
    else if (kind == KIND_PORT) fillPort(field);
    else if (kind == KIND_PROPERTY) fillProperty(field, block + load<u32>(record + FIELD_NAME), load<u32>(record + FIELD_NAME_LENGTH));
  }
}

/** `/package.Service/Method` (gRPC over HTTP/2, "Path"). */
function fillGrpc(field: u32, kind: u32, headers: usize, headerCount: u32): void {
  if (!isFilled(FIELD_PATH) || !findHeader(headers, headerCount, 'content-type') || !isGrpcType(foundAt, foundLength)) return;
  const path = valueIn(FIELD_PATH);
  const end = path + lengthIn(FIELD_PATH);
  if (path == end || load<u8>(path) != 0x2f) return;
  const slash = segmentEnd(path + 1, end);
  if (slash == end) return;
  if (kind == KIND_GRPC_SERVICE) fill(field, path + 1, <u32>(slash - path - 1));
  else fill(field, slash + 1, <u32>(end - slash - 1));
}

/**
 * `spiffe://<trust domain>/ns/<namespace>/sa/<account>` or parts of it, each of which may itself be called `ns` or `sa`. An id of
 * another form is an id, but has neither namespace nor account.
 */
function fillSource(field: u32, kind: u32): void {
  if (!sourceAsked) {
    sourceAsked = true;
    beginText();
    addAscii('connection\0uri_san_peer_certificate');
    const known = property(textStart(), textLength());
    sourceAt = known ? resultAt : 0;
    sourceLength = known ? resultLength : 0;
  }
  if (sourceLength == 0) return;
  if (kind == KIND_SOURCE) {
    fill(field, sourceAt, sourceLength);
    return;
  }
  if (!startsWithAscii(sourceAt, sourceLength, 'spiffe://')) return;
  const end = sourceAt + sourceLength;
  const domainEnd = segmentEnd(sourceAt + 9, end);
  if (domainEnd == sourceAt + 9 || !startsWithAscii(domainEnd, <u32>(end - domainEnd), '/ns/')) return;
  const namespace = domainEnd + 4;
  const namespaceEnd = segmentEnd(namespace, end);
  if (namespaceEnd == namespace || !startsWithAscii(namespaceEnd, <u32>(end - namespaceEnd), '/sa/')) return;
  const account = namespaceEnd + 4;
  if (account == end || segmentEnd(account, end) != end) return;
  if (kind == KIND_SOURCE_NAMESPACE) fill(field, namespace, <u32>(namespaceEnd - namespace));
  else fill(field, account, <u32>(end - account));
}

/** @returns where the next `/` is, or the end */
function segmentEnd(from: usize, end: usize): usize {
  let at = from;
  while (at < end && load<u8>(at) != 0x2f) at++;
  return at;
}

/** What the host hasn't got it gives as nothing or as an empty text, as its version has it. */
function fillProperty(field: u32, path: usize, length: u32): void {
  if (property(path, length) && resultLength != 0) fill(field, resultAt, resultLength);
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
