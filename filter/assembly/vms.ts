import { arenaAllocate, reserve } from './arena';
import { presentNs } from './clock';
import { loadedVersion, sameVersion, VERSION_BYTES } from './exchange';
import { resultAt, resultLength, setSharedData, sharedCas, sharedData, wakeQueue } from './host';
import { random64 } from './random';
import { addAscii, addHex, beginText, textLength, textStart } from './text';

/**
 * The VMs of this Envoy that run the filter: one a worker and one on the main thread.
 *
 * ```
 * hfi/vms:       u64 ids
 * hfi/vm/<id>:   heartbeat u64 ns | queue u32 | 0 | version that it runs (16 bytes)
 * ```
 */
const RECORD_BYTES: u32 = 32;
const RECORD_QUEUE: u32 = 8;
const RECORD_VERSION: u32 = 16;
const MOST_VMS: u32 = 512;
/** A VM that showed no life for so long is gone (its worker too: Envoy's watchdog acts within seconds). */
const GONE_NS: u64 = 10_000_000_000;

const record: usize = memory.data(32, 8);
let ids: usize = 0;

/** This VM. */
export let ownId: u64 = 0;
export let ownQueue: u32 = 0;

/** How many VMs are alive, and how many of them run the version asked for, by the last `survey`. */
export let alive: u32 = 0;
export let current: u32 = 0;

/** Gives this VM its id; before that nothing here may be called. */
export function nameVm(): void {
  if (ids == 0) ids = reserve(MOST_VMS * 8);
  while (ownId == 0) ownId = random64();
}

export function setOwnQueue(queue: u32): void {
  ownQueue = queue;
}

function listKey(): u32 {
  beginText();
  addAscii('hfi/vms');
  return textLength();
}

function vmKey(id: u64): u32 {
  beginText();
  addAscii('hfi/vm/');
  addHex(id);
  return textLength();
}

/** Shows that this VM lives and what it runs, and sees that it is in the list. */
export function showLife(): void {
  store<u64>(record, presentNs());
  store<u32>(record, ownQueue, RECORD_QUEUE);
  memory.copy(record + RECORD_VERSION, loadedVersion, VERSION_BYTES);
  const keyLength = vmKey(ownId);
  setSharedData(textStart(), keyLength, record, RECORD_BYTES, 0);
  enlist();
}

/** Shows that this VM goes: nobody waits for it to catch up. */
export function leave(): void {
  memory.fill(record, 0, RECORD_BYTES);
  const keyLength = vmKey(ownId);
  setSharedData(textStart(), keyLength, record, RECORD_BYTES, 0);
}

// Writing with change number 0 overwrites whatever is there, so two VMs can both found the list and one be lost: each looks
// again with every sign of life.
function enlist(): void {
  const count = readList();
  const cas = sharedCas;
  for (let i: u32 = 0; i < count; i++) {
    if (load<u64>(ids + i * 8) == ownId) return;
  }
  if (count == MOST_VMS) return;
  store<u64>(ids + count * 8, ownId);
  const keyLength = listKey();
  setSharedData(textStart(), keyLength, ids, (count + 1) * 8, cas);
}

/** @returns how many ids are now in `ids` */
function readList(): u32 {
  const keyLength = listKey();
  if (!sharedData(textStart(), keyLength)) return 0;
  const count = min<u32>(resultLength / 8, MOST_VMS);
  memory.copy(ids, resultAt, count * 8);
  return count;
}

/**
 * Looks at every VM: sets `alive` and `current`, and takes those off the list that are gone.
 *
 * @param version what they should run
 */
export function survey(version: usize): void {
  const count = readList();
  const cas = sharedCas;
  const now = presentNs();
  alive = 0;
  current = 0;
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u64>(ids + i * 8);
    if (!readRecord(id) || (<i64>(now - load<u64>(record)) > <i64>GONE_NS && id != ownId)) continue;
    store<u64>(ids + alive * 8, id);
    alive++;
    if (sameVersion(record + RECORD_VERSION, version)) current++;
  }
  if (alive == count) return;
  const keyLength = listKey();
  setSharedData(textStart(), keyLength, ids, alive * 8, cas);
}

function readRecord(id: u64): bool {
  const keyLength = vmKey(id);
  if (!sharedData(textStart(), keyLength) || resultLength != RECORD_BYTES) return false;
  memory.copy(record, resultAt, RECORD_BYTES);
  return true;
}

/** Wakes all other VMs, so that they look at what is shared. */
export function wakeOthers(): void {
  const count = readList();
  const copy = arenaAllocate(count * 8);
  if (copy == 0) return;
  memory.copy(copy, ids, count * 8);
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u64>(copy + i * 8);
    if (id != ownId && readRecord(id)) wakeQueue(load<u32>(record, RECORD_QUEUE));
  }
}
