import { reserve } from './arena';

/**
 * Composes short texts (log lines, header values, keys) in one buffer, byte by byte: no strings are made. What does not fit
 * is cut off. A text is good until the next `beginText`.
 */

const CAPACITY: u32 = 16 * 1024;

let start: usize = 0;
let length: u32 = 0;

export function beginText(): void {
  if (start == 0) start = reserve(CAPACITY);
  length = 0;
}

export function textStart(): usize {
  return start;
}

export function textLength(): u32 {
  return length;
}

export function addByte(byte: u32): void {
  if (start == 0 || length >= CAPACITY) return;
  store<u8>(start + length, <u8>byte);
  length++;
}

/** Adds a literal of ASCII characters. */
export function addAscii(text: string): void {
  for (let i = 0, n = text.length; i < n; i++) addByte(<u32>text.charCodeAt(i));
}

export function addBytes(from: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) addByte(load<u8>(from + i));
}

export function addNumber(value: u64): void {
  let divisor: u64 = 1;
  while (value / divisor >= 10) divisor *= 10;
  for (; divisor > 0; divisor /= 10) addByte(<u32>(0x30 + ((value / divisor) % 10)));
}

/** Adds 16 hexadecimal digits. */
export function addHex(value: u64): void {
  for (let shift: i32 = 60; shift >= 0; shift -= 4) {
    const digit = <u32>((value >> shift) & 15);
    addByte(digit < 10 ? 0x30 + digit : 0x57 + digit);
  }
}

/** Copies the text composed last somewhere. */
export function putText(to: usize): void {
  memory.copy(to, start, length);
}

/** Writes an ASCII literal somewhere. @returns its length */
export function putAscii(text: string, to: usize): u32 {
  const n = text.length;
  for (let i = 0; i < n; i++) store<u8>(to + i, <u8>text.charCodeAt(i));
  return n;
}

/** Whether bytes are this ASCII literal. */
export function equalsAscii(from: usize, count: u32, text: string): bool {
  return count == <u32>text.length && startsWithAscii(from, count, text);
}

export function startsWithAscii(from: usize, count: u32, text: string): bool {
  const n = text.length;
  if (count < <u32>n) return false;
  for (let i = 0; i < n; i++) {
    if (load<u8>(from + i) != <u8>text.charCodeAt(i)) return false;
  }
  return true;
}

/** Reads decimal digits up to the first other byte. @returns the number; 0 when there is none */
export function readNumber(from: usize, count: u32): u64 {
  let value: u64 = 0;
  for (let i: u32 = 0; i < count && i < 18; i++) {
    const digit = <u32>load<u8>(from + i) - 0x30;
    if (digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}

/** Whether two runs of bytes are equal. */
export function same(left: usize, right: usize, length: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= length; i += 8) {
    if (load<u64>(left + i) != load<u64>(right + i)) return false;
  }
  for (; i < length; i++) {
    if (load<u8>(left + i) != load<u8>(right + i)) return false;
  }
  return true;
}

/** Whether bytes are `lower`, which has no capitals, when their ASCII capitals are taken for small letters. */
export function sameInAnyCase(lower: usize, bytes: usize, length: u32): bool {
  for (let i: u32 = 0; i < length; i++) {
    const byte = <u32>load<u8>(bytes + i);
    if ((byte - 0x41 < 26 ? byte | 0x20 : byte) != load<u8>(lower + i)) return false;
  }
  return true;
}
