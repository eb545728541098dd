import { reserve } from './arena';
import { equalsAscii, readNumber } from './text';

/**
 * The plugin's configuration: one flat JSON object (RFC 8259), read over the bytes. Unknown members are skipped, so that an
 * older filter takes a newer configuration.
 */

export const DIRECTION_UNKNOWN: u32 = 0;
export const DIRECTION_INBOUND: u32 = 1;
export const DIRECTION_OUTBOUND: u32 = 2;

const TEXT_CAPACITY: u32 = 4096;
const DEFAULT_LEASE_MS: u32 = 60_000;
const DEFAULT_MAX_DELAYED: u32 = 1000;
const MAX_DELAYED: u32 = 100_000;

/** The text members, one behind the other: cluster, authority, token. */
let texts: usize = 0;
let textsLength: u32 = 0;
/** Which half of `texts` is in force. */
let textsHalf: u32 = 0;

export let clusterAt: usize = 0;
export let clusterLength: u32 = 0;
export let authorityAt: usize = 0;
export let authorityLength: u32 = 0;
export let tokenAt: usize = 0;
export let tokenLength: u32 = 0;
export let leaseMs: u32 = DEFAULT_LEASE_MS;
export let maxDelayed: u32 = DEFAULT_MAX_DELAYED;
/** The direction that the configuration read last asks for; it is the root's, not the VM's. */
export let readDirection: u32 = DIRECTION_UNKNOWN;

let at: usize = 0;
let end: usize = 0;
/** Where the string read last lies, without its quotes and unescaped in place. */
let stringAt: usize = 0;
let stringLength: u32 = 0;

/**
 * Reads a configuration. What it sets takes effect only when all of it could be read.
 *
 * @returns whether it could be; if not, the one before stays in force
 */
export function readConfiguration(from: usize, length: u32): bool {
  if (texts == 0) texts = reserve(2 * TEXT_CAPACITY);
  if (texts == 0) return false;
  at = from;
  end = from + length;
  // Two halves in turn: the texts in force stay untouched until the new ones are complete.
  const half = textsHalf ^ 1;
  const store_ = texts + half * TEXT_CAPACITY;
  textsLength = 0;
  let clusterSize: u32 = 0;
  let authoritySize: u32 = 0;
  let tokenSize: u32 = 0;
  let clusterFrom: usize = 0;
  let authorityFrom: usize = 0;
  let tokenFrom: usize = 0;
  let lease: u64 = DEFAULT_LEASE_MS;
  let delayed: u64 = DEFAULT_MAX_DELAYED;
  let direction = DIRECTION_UNKNOWN;

  if (!take(0x7b)) return false;
  let first = true;
  while (!take(0x7d)) {
    if (!first && !take(0x2c)) return false;
    first = false;
    if (!readString()) return false;
    const key = stringAt;
    const keyLength = stringLength;
    if (!take(0x3a)) return false;
    skipSpace();
    const isText = at < end && load<u8>(at) == 0x22;
    const valueAt = at;
    if (isText ? !readString() : !skipValue(0)) return false;
    const valueLength = <u32>(at - valueAt);
    if (isText && equalsAscii(key, keyLength, 'cluster')) {
      clusterFrom = keep(store_);
      if (clusterFrom == 0) return false;
      clusterSize = stringLength;
    } else if (isText && equalsAscii(key, keyLength, 'authority')) {
      authorityFrom = keep(store_);
      if (authorityFrom == 0) return false;
      authoritySize = stringLength;
    } else if (isText && equalsAscii(key, keyLength, 'token')) {
      tokenFrom = keep(store_);
      if (tokenFrom == 0) return false;
      tokenSize = stringLength;
    } else if (equalsAscii(key, keyLength, 'direction')) {
      if (isText && equalsAscii(stringAt, stringLength, 'inbound')) direction = DIRECTION_INBOUND;
      else if (isText && equalsAscii(stringAt, stringLength, 'outbound')) direction = DIRECTION_OUTBOUND;
      else return false;
    } else if (equalsAscii(key, keyLength, 'leaseMs')) {
      lease = isText ? 0 : readNumber(valueAt, valueLength);
      if (lease < 1000 || lease > 3_600_000) return false;
    } else if (equalsAscii(key, keyLength, 'maxDelayedRequests')) {
      delayed = isText ? MAX_DELAYED + 1 : readNumber(valueAt, valueLength);
      if (delayed > MAX_DELAYED) return false;
    }
  }
  if (clusterSize == 0) return false;
  textsHalf = half;
  clusterAt = clusterFrom;
  clusterLength = clusterSize;
  authorityAt = authoritySize == 0 ? clusterFrom : authorityFrom;
  authorityLength = authoritySize == 0 ? clusterSize : authoritySize;
  tokenAt = tokenFrom;
  tokenLength = tokenSize;
  leaseMs = <u32>lease;
  maxDelayed = <u32>delayed;
  readDirection = direction;
  return true;
}

/** Copies the string read last. @returns where to, or 0 when there is no room */
function keep(store_: usize): usize {
  if (textsLength + stringLength > TEXT_CAPACITY) return 0;
  const to = store_ + textsLength;
  memory.copy(to, stringAt, stringLength);
  textsLength += stringLength;
  return to;
}

function skipSpace(): void {
  while (at < end) {
    const byte = load<u8>(at);
    if (byte != 0x20 && byte != 0x09 && byte != 0x0a && byte != 0x0d) return;
    at++;
  }
}

/** Takes one character after white space, if it is there. */
function take(character: u8): bool {
  skipSpace();
  if (at >= end || load<u8>(at) != character) return false;
  at++;
  return true;
}

/** Reads a string. Of the escapes those of one character are undone; `\u` is refused: no value of ours needs it. */
function readString(): bool {
  if (!take(0x22)) return false;
  stringAt = at;
  let to = at;
  while (at < end) {
    let byte = load<u8>(at++);
    if (byte == 0x22) {
      stringLength = <u32>(to - stringAt);
      return true;
    }
    if (byte == 0x5c) {
      if (at >= end) return false;
      byte = load<u8>(at++);
      if (byte == 0x6e) byte = 0x0a;
      else if (byte == 0x74) byte = 0x09;
      else if (byte != 0x22 && byte != 0x5c && byte != 0x2f) return false;
    }
    store<u8>(to++, byte);
  }
  return false;
}

function skipValue(depth: u32): bool {
  skipSpace();
  if (at >= end || depth > 16) return false;
  const byte = load<u8>(at);
  if (byte == 0x22) return readString();
  if (byte == 0x7b || byte == 0x5b) {
    const close: u8 = byte == 0x7b ? 0x7d : 0x5d;
    at++;
    while (!take(close)) {
      if (take(0x2c) || take(0x3a)) continue;
      if (!skipValue(depth + 1)) return false;
    }
    return true;
  }
  const from = at;
  while (at < end) {
    const c = load<u8>(at);
    if (c == 0x2c || c == 0x7d || c == 0x5d || c <= 0x20) break;
    at++;
  }
  return at > from;
}
