import { arenaAllocate } from './arena';
import { resultAt, resultLength, setSharedData, sharedCas, sharedData } from './host';
import { random64 } from './random';
import { TALLY_BYTES } from './tally-layout';
import { HEADING_BYTES } from './tally-table';
import { addAscii, addHex, beginText, textLength, textStart } from './text';

/**
 * Where the VMs of this Envoy put what they have counted, for the elected one.
 *
 * ```
 * hfi/t:          u64 ids, of every VM that ever counted
 * hfi/t/<id>:     format u32 | left u32 | unused u64 | records
 * hfi/t/through:  u64 ns, up to when all that was published has been acknowledged by the control plane
 * hfi/epoch:      u64, drawn once for the life of this Envoy's process
 * ```
 *
 * Each record has one writer, the VM whose id it has, until that VM has left.
 */
const FORMAT: u32 = 1;
const LEFT: u32 = 4;
const MOST_IDS: u32 = 512;
const ATTEMPTS: i32 = 64;

const word: usize = memory.data(8, 8);
const emptied: usize = memory.data(16, 8);
let ownId: u64 = 0;

/** How many VMs `listIds` found. */
export let idCount: u32 = 0;
let ids: usize = 0;

function key(name: string): u32 {
  beginText();
  addAscii(name);
  return textLength();
}

function recordsKey(id: u64): u32 {
  beginText();
  addAscii('hfi/t/');
  addHex(id);
  return textLength();
}

export function newTallyId(): void {
  ownId = 0;
}

/**
 * @param records with the heading's room in front
 * @param left whether this VM goes: then another may take what it counted over
 */
export function publishRecords(records: usize, count: u32, left: bool): bool {
  while (ownId == 0) ownId = random64();
  const heading = records - HEADING_BYTES;
  store<u32>(heading, FORMAT);
  store<u32>(heading + LEFT, left ? 1 : 0);
  const keyLength = recordsKey(ownId);
  return setSharedData(textStart(), keyLength, heading, HEADING_BYTES + count * TALLY_BYTES, 0) && enlist();
}

/** A list that two VMs found at the same moment can lack one of them: each looks again whenever it publishes. */
function enlist(): bool {
  for (let i = 0; i < ATTEMPTS; i++) {
    if (!listIds()) return false;
    for (let k: u32 = 0; k < idCount; k++) if (idAt(k) == ownId) return true;
    if (idCount == MOST_IDS) return false;
    store<u64>(ids + idCount * 8, ownId);
    if (writeIds(idCount + 1)) return true;
  }
  return false;
}

let idsCas: u32 = 0;

/** Reads the list into the arena, with room for one more. @returns false without memory */
export function listIds(): bool {
  const keyLength = key('hfi/t');
  const found = sharedData(textStart(), keyLength);
  idsCas = found ? sharedCas : 0;
  const count = found ? min<u32>(resultLength / 8, MOST_IDS) : 0;
  const read = resultAt;
  ids = arenaAllocate(count * 8 + 8);
  idCount = ids == 0 ? 0 : count;
  if (idCount != 0) memory.copy(ids, read, idCount * 8);
  return ids != 0;
}

export function idAt(index: u32): u64 {
  return load<u64>(ids + index * 8);
}

function writeIds(count: u32): bool {
  const keyLength = key('hfi/t');
  return setSharedData(textStart(), keyLength, ids, count * 8, idsCas);
}

/** What `readRecords` found: where the records lie in the arena, how many they are, and whether their VM has left. */
export let readAt: usize = 0;
export let readCount: u32 = 0;
export let readLeft: bool = false;
let readCas: u32 = 0;

/** @returns whether there is something that this version of the filter can read */
export function readRecords(id: u64): bool {
  const keyLength = recordsKey(id);
  if (!sharedData(textStart(), keyLength) || resultLength < HEADING_BYTES || load<u32>(resultAt) != FORMAT) return false;
  readAt = resultAt + HEADING_BYTES;
  readCount = (resultLength - HEADING_BYTES) / TALLY_BYTES;
  readLeft = load<u32>(resultAt, LEFT) != 0;
  readCas = sharedCas;
  return true;
}

/** Takes what a VM that left had counted, as `readRecords` found it. @returns whether it is the caller's now: of several that try, one gets it */
export function takeOver(id: u64): bool {
  store<u32>(emptied, FORMAT);
  store<u32>(emptied + LEFT, 1);
  const keyLength = recordsKey(id);
  return setSharedData(textStart(), keyLength, emptied, HEADING_BYTES, readCas);
}

/** Takes a VM whose counts others have off the list. */
export function strike(id: u64): void {
  for (let i = 0; i < ATTEMPTS; i++) {
    if (!listIds()) return;
    let kept: u32 = 0;
    for (let k: u32 = 0; k < idCount; k++) {
      if (idAt(k) == id) continue;
      store<u64>(ids + kept * 8, idAt(k));
      kept++;
    }
    if (kept == idCount || writeIds(kept)) return;
  }
}

export function acknowledgedUntil(): u64 {
  const keyLength = key('hfi/t/through');
  return sharedData(textStart(), keyLength) && resultLength == 8 ? load<u64>(resultAt) : 0;
}

export function noteAcknowledged(until: u64): void {
  store<u64>(word, until);
  const keyLength = key('hfi/t/through');
  setSharedData(textStart(), keyLength, word, 8, 0);
}

/** Draws the epoch, when configured: the host configures its first VM before it makes another, so there is no race for it. */
export function drawEpoch(): void {
  if (epoch() != 0) return;
  store<u64>(word, 0);
  while (load<u64>(word) == 0) store<u64>(word, random64());
  const keyLength = key('hfi/epoch');
  setSharedData(textStart(), keyLength, word, 8, 0);
}

export function epoch(): u64 {
  const keyLength = key('hfi/epoch');
  return sharedData(textStart(), keyLength) && resultLength == 8 ? load<u64>(resultAt) : 0;
}
