import { presentNs, setAnchor } from './clock';
import { LOG_INFO, LOG_WARN, logText, resultAt, resultLength, setSharedData, sharedData } from './host';
import { halted, inboundRules, outboundRules, takeRuleset } from './in-force';
import { countAccepted, showHalted } from './metrics';
import { REFUSED_NOT, refusalText } from './ruleset';
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

/** Puts a checked ruleset where the other VMs find it. `room` has 16 bytes free in front of the block, for the version. */
export function publishRuleset(version: usize, room: usize, length: u32): bool {
  memory.copy(room, version, VERSION_BYTES);
  const keyLength = key('hfi/ruleset');
  return setSharedData(textStart(), keyLength, room, VERSION_BYTES + length, 0);
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

/** Reads what the elected VM published and catches up with it. @returns whether this VM now runs another ruleset */
export function refresh(): bool {
  if (!readState() || noVersion(state) || sameVersion(state, loadedVersion)) return false;
  const keyLength = key('hfi/ruleset');
  if (!sharedData(textStart(), keyLength) || resultLength < VERSION_BYTES) return false;
  if (sameVersion(resultAt, loadedVersion)) return false;
  return load_(resultAt, resultAt + VERSION_BYTES, resultLength - VERSION_BYTES);
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

function load_(version: usize, bytes: usize, length: u32): bool {
  const reason = takeRuleset(bytes, length);
  if (reason != REFUSED_NOT) {
    beginText();
    addAscii('hfi: a worker could not take the ruleset: ');
    addAscii(refusalText(reason));
    logText(LOG_WARN);
    return false;
  }
  memory.copy(loadedVersion, version, VERSION_BYTES);
  return true;
}

/** Takes a ruleset that came from the control plane. @returns `REFUSED_NOT` or why not; then the old one stays */
export function takeReceived(version: usize, bytes: usize, length: u32): u32 {
  const reason = takeRuleset(bytes, length);
  if (reason != REFUSED_NOT) return reason;
  memory.copy(loadedVersion, version, VERSION_BYTES);
  countAccepted();
  showHalted(halted);
  beginText();
  addAscii('hfi: ruleset ');
  addBytes(version, VERSION_BYTES);
  addAscii(' in force, ');
  addNumber(inboundRules + outboundRules);
  addAscii(halted ? ' rules, halted: no faults until a resume' : ' rules');
  logText(LOG_INFO);
  return REFUSED_NOT;
}

/**
 * Whether this VM may fault a request now. Looks once more at what is shared before it says no, but takes no ruleset: the rule that it is
 * asked for lies in the one in force.
 */
export function leaseHolds(): bool {
  if (presentNs() < leaseUntil) return true;
  return readState() && sameVersion(state, loadedVersion) && presentNs() < leaseUntil;
}
