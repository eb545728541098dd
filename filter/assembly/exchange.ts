import { monotonicNs, NS_PER_MS, presentNs, setAnchor } from './clock';
import { foundNumbers } from './counts';
import { LOG_INFO, LOG_WARN, logText, resultAt, resultLength, setSharedData, sharedData } from './host';
import {
  beginTaking,
  block,
  halted,
  inboundRules,
  inboundTable,
  outboundRules,
  outboundTable,
  takeOn,
  taking,
  takingLength,
} from './in-force';
import { countAccepted, showHalted } from './metrics';
import { REFUSED_NOT, REFUSED_NOT_YET, REFUSED_TOO_LARGE, refusalText } from './ruleset';
import { addAscii, addBytes, addNumber, beginText, textLength, textStart } from './text';

/**
 * What the VMs of one Envoy share, written by the elected one. Under Istio all plugins share these keys, hence `hfi/`.
 *
 * ```
 * hfi/ruleset:  version (16 bytes) | the block
 * hfi/state:    version (16 bytes) | control plane's time f64 ms | the same moment u64 ns | lease's end u64 ns | leader's queue u32
 * ```
 *
 * Nanoseconds are of the monotonic clock, which is one for the whole process.
 */
export const VERSION_BYTES: u32 = 16;
const STATE_BYTES: u32 = 48;
const STATE_ANCHOR_MS: u32 = 16;
const STATE_ANCHOR_NS: u32 = 24;
const STATE_LEASE: u32 = 32;
const STATE_QUEUE: u32 = 40;

const state: usize = memory.data(48, 8);
/** The version that this VM runs; zeros before the first. */
export const loadedVersion: usize = memory.data(16, 8);

/** When the lease ends, in ns; past it no request is faulted. */
export let leaseUntil: u64 = 0;
/** The elected VM's queue; 0 before the first answer. */
export let leaderQueue: u32 = 0;

export function sameVersion(a: usize, b: usize): bool {
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
}

export function noVersion(a: usize): bool {
  return load<u64>(a) == 0 && load<u64>(a, 8) == 0;
}

function key(name: string): u32 {
  beginText();
  addAscii(name);
  return textLength();
}

/** Puts the ruleset in force where the other VMs find it. Its buffer has room for the version in front (`ROOM_IN_FRONT`). */
function publishRuleset(length: u32): bool {
  const from = block - VERSION_BYTES;
  memory.copy(from, loadedVersion, VERSION_BYTES);
  const keyLength = key('hfi/ruleset');
  return setSharedData(textStart(), keyLength, from, VERSION_BYTES + length, 0);
}

/** Publishes what an answer said: the time, and with it the lease. */
export function publishState(version: usize, controlPlaneMs: f64, atNs: u64, leaseEnd: u64, queue: u32): void {
  memory.copy(state, version, VERSION_BYTES);
  store<f64>(state, controlPlaneMs, STATE_ANCHOR_MS);
  store<u64>(state, atNs, STATE_ANCHOR_NS);
  store<u64>(state, leaseEnd, STATE_LEASE);
  store<u32>(state, queue, STATE_QUEUE);
  const keyLength = key('hfi/state');
  setSharedData(textStart(), keyLength, state, STATE_BYTES, 0);
  takeState();
}

/** A ruleset of more bytes is checked for so long at once, after a callback that only copies it; requests have their turn in between. */
const LARGE: u32 = 128 * 1024;
const SLICE_NS: u64 = NS_PER_MS;
/** The version of the ruleset that is being taken, and whether it came from the control plane. */
const takingVersion: usize = memory.data(16, 8);
let received = false;

/** Whether a ruleset is being taken: then `goOnTaking` is to be called soon. */
export function isTaking(): bool {
  return taking != 0;
}

/** Whether the one that is being taken came from the control plane, which waits for what becomes of it. */
export function isReceiving(): bool {
  return taking != 0 && received;
}

/** Reads what the elected VM published and catches up with it. @returns whether this VM now runs another ruleset */
export function refresh(): bool {
  if (!readState() || noVersion(state) || sameVersion(state, loadedVersion) || isReceiving()) return false;
  if (isTaking() && sameVersion(state, takingVersion)) return false;
  const keyLength = key('hfi/ruleset');
  if (!sharedData(textStart(), keyLength) || resultLength < VERSION_BYTES) return false;
  if (sameVersion(resultAt, loadedVersion)) return false;
  return take(resultAt, resultAt + VERSION_BYTES, resultLength - VERSION_BYTES, false) == REFUSED_NOT;
}

function readState(): bool {
  const keyLength = key('hfi/state');
  if (!sharedData(textStart(), keyLength) || resultLength != STATE_BYTES) return false;
  memory.copy(state, resultAt, STATE_BYTES);
  takeState();
  return true;
}

function takeState(): void {
  setAnchor(load<f64>(state, STATE_ANCHOR_MS), load<u64>(state, STATE_ANCHOR_NS));
  leaseUntil = load<u64>(state, STATE_LEASE);
  leaderQueue = load<u32>(state, STATE_QUEUE);
}

/**
 * Takes a ruleset that came from the control plane, and shares it.
 *
 * @returns `REFUSED_NOT` when it is in force, `REFUSED_NOT_YET` when that takes longer, or why not; then the old one stays
 */
export function takeReceived(version: usize, bytes: usize, length: u32): u32 {
  return take(version, bytes, length, true);
}

function take(version: usize, bytes: usize, length: u32, fromControlPlane: bool): u32 {
  received = fromControlPlane;
  memory.copy(takingVersion, version, VERSION_BYTES);
  const reason = beginTaking(bytes, length);
  if (reason != REFUSED_NOT_YET) return taken(reason, length);
  return length > LARGE ? reason : goOnTaking();
}

/** Goes on with a ruleset that is being taken. @returns as `takeReceived` */
export function goOnTaking(): u32 {
  const until = monotonicNs() + SLICE_NS;
  const length = takingLength;
  let reason = takeOn();
  while (reason == REFUSED_NOT_YET && monotonicNs() < until) reason = takeOn();
  return reason == REFUSED_NOT_YET ? reason : taken(reason, length);
}

/** @param reason what became of it */
function taken(reason: u32, length: u32): u32 {
  if (reason != REFUSED_NOT) {
    if (!received) {
      beginText();
      addAscii('hfi: a worker could not take the ruleset: ');
      addAscii(refusalText(reason));
      logText(LOG_WARN);
    }
    return reason;
  }
  memory.copy(loadedVersion, takingVersion, VERSION_BYTES);
  if (!received) return reason;
  foundNumbers(inboundTable, inboundRules);
  foundNumbers(outboundTable, outboundRules);
  countAccepted();
  showHalted(halted);
  beginText();
  addAscii('hfi: ruleset ');
  addBytes(loadedVersion, VERSION_BYTES);
  addAscii(' in force, ');
  addNumber(inboundRules + outboundRules);
  addAscii(halted ? ' rules, halted: no faults until a resume' : ' rules');
  logText(LOG_INFO);
  return publishRuleset(length) ? REFUSED_NOT : REFUSED_TOO_LARGE;
}

/**
 * Whether this VM may fault a request now. Looks once more at what is shared before it says no, but takes no ruleset: the rule that it is
 * asked for lies in the one in force. A lease that another ruleset was given is none for this one.
 */
export function leaseHolds(): bool {
  if (presentNs() < leaseUntil) return true;
  const over = leaseUntil;
  if (readState() && !sameVersion(state, loadedVersion)) leaseUntil = over;
  return presentNs() < leaseUntil;
}
