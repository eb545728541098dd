import { arenaAllocate } from './arena';
import { addAscii, addBytes, beginText, textLength, textStart } from './text';

/**
 * Composes the headers of a call of ours as the host takes them: count, a pair of lengths each, then the bytes with a zero
 * after each string (proxy-wasm ABI 0.2.1).
 */
const MOST: u32 = 24;
const lengths: usize = memory.data(24 * 8, 4);
let count: u32 = 0;
let valueFrom: u32 = 0;

export let pairsAt: usize = 0;
export let pairsLength: u32 = 0;

export function beginPairs(): void {
  beginText();
  count = 0;
}

/** Begins a header; what is added to the text until `endPair` is its value. */
export function beginPair(name: string): void {
  store<u32>(lengths + count * 8, name.length);
  addAscii(name);
  addAscii('\0');
  valueFrom = textLength();
}

export function endPair(): void {
  store<u32>(lengths + count * 8, textLength() - valueFrom, 4);
  addAscii('\0');
  if (count < MOST - 1) count++;
}

export function pairAscii(name: string, value: string): void {
  beginPair(name);
  addAscii(value);
  endPair();
}

export function pairBytes(name: string, value: usize, length: u32): void {
  beginPair(name);
  addBytes(value, length);
  endPair();
}

/** Finishes the pairs at `pairsAt`, `pairsLength`. @returns false without memory */
export function finishPairs(): bool {
  pairsLength = 4 + count * 8 + textLength();
  pairsAt = arenaAllocate(pairsLength);
  if (pairsAt == 0) return false;
  store<u32>(pairsAt, count);
  memory.copy(pairsAt + 4, lengths, count * 8);
  memory.copy(pairsAt + 4 + count * 8, textStart(), textLength());
  return true;
}
