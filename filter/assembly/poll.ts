import { lendOnce } from './arena';
import { NS_PER_MS, presentNs } from './clock';
import { authorityAt, authorityLength, clusterAt, clusterLength, leaseMs, tokenAt, tokenLength } from './config';
import { isReceiving, leaseUntil, loadedVersion, noVersion, publishState, sameVersion, takeReceived, VERSION_BYTES } from './exchange';
import { callResponseBody, callResponseHeader, httpCall, LOG_INFO, LOG_WARN, logText, resultAt, resultLength } from './host';
import {
  addUnreadable,
  identityComplete,
  labelsAt,
  labelsLength,
  namespaceAt,
  namespaceLength,
  nodeAt,
  nodeLength,
  workloadAt,
  workloadLength,
} from './identity';
import { roomToTake } from './in-force';
import { LAYOUT_VERSION, MAX_RULESET_BYTES } from './layout';
import { countPollFailure, countRefused, inboundRequests, outboundRequests, showConnected } from './metrics';
import {
  HEADER_ACKNOWLEDGED,
  HEADER_FILTER,
  HEADER_LABELS,
  HEADER_LAYOUT_VERSION,
  HEADER_LEASE,
  HEADER_NAMESPACE,
  HEADER_POLL_FAILURES,
  HEADER_PROXY,
  HEADER_REFUSED,
  HEADER_REQUESTS,
  HEADER_REVISION,
  HEADER_TIME,
  HEADER_UNREADABLE,
  HEADER_VMS,
  HEADER_WORKLOAD,
  RULESET_PATH,
} from './protocol';
import { random64 } from './random';
import { heardOfReplica } from './replicas';
import { beginPair, beginPairs, endPair, finishPairs, pairAscii, pairBytes, pairsAt, pairsLength } from './request-pairs';
import { REFUSED_LENGTH, REFUSED_NOT, REFUSED_NOT_YET, REFUSED_TOO_LARGE, refusalText } from './ruleset';
import { addAscii, addBytes, addNumber, beginText, readNumber } from './text';
import { alive, current, ownQueue, survey, wakeOthers } from './vms';

/** The one long poll of this Envoy. Only the elected VM is in here. */

/** The filter's own version, for the control plane's list of proxies. */
const FILTER_VERSION: string = '0.1.0';

const NO_CALL: u32 = 0xffffffff;
/** Failures that are no HTTP status. */
const NO_FAILURE: u32 = 0;
const NO_ANSWER: u32 = 1;
const NO_TIME: u32 = 2;
const FIRST_BACKOFF_MS: u64 = 100;
const MOST_BACKOFF_MS: u64 = 5000;
/** How long a ruleset may be unconfirmed by a worker before the poll goes on without its acknowledgement. */
const CONFIRM_NS: u64 = 250 * NS_PER_MS;
const ANSWER_TIMEOUT_MS: u32 = 5000;

let call: u32 = NO_CALL;
/** When the call under way should long have been answered, or timed out, in ns. */
let overdue: u64 = 0;
/** When the next poll is due, in ns; without meaning while one is under way. */
let nextPoll: u64 = 0;
let backoffMs: u64 = 0;
let failures: u64 = 0;
let refusals: u64 = 0;
/** The control plane's time in the answer under way. */
let anchorTime: f64 = 0;
/** The newest change of a policy that the control plane spoke of. */
export let revision: u64 = 0;
let lastRefusal: u32 = 0;
/** What failed last, so that each kind is logged once: an HTTP status or one of the above. */
let lastFailure: u32 = NO_FAILURE;
/** The version that every VM runs. */
const acknowledged: usize = memory.data(16, 8);
const received: usize = memory.data(16, 8);

/** How long the control plane may hold a poll, in s: so short that two fit into the lease. */
function waitSeconds(): u32 {
  return max<u32>(1, min<u32>(25, leaseMs / 3000));
}

/** When polling needs the timer again, in ns: for the next poll, or because the one under way should long have been answered. */
export function pollDue(): u64 {
  return call == NO_CALL ? nextPoll : overdue;
}

/** After a failure, and when the lease ran out: only an answer renews it, and held faults would wait for that. */
function mustAnswerAtOnce(): bool {
  return lastFailure != NO_FAILURE || (!noVersion(loadedVersion) && presentNs() >= leaseUntil);
}

/** Polls when it is time and none is under way. Call only after `leads()` said yes in the same callback. */
export function pollWhenDue(): void {
  const now = presentNs();
  // The host owes an answer or a failure for every call; should it ever forget one, polling must not end with that.
  if (call != NO_CALL && now >= overdue) {
    call = NO_CALL;
    failed(NO_ANSWER);
  }
  if (call == NO_CALL && now >= nextPoll && !isReceiving()) poll();
}

/** Another VM may have caught up: when all have, the control plane is told at once. */
export function confirm(): void {
  if (noVersion(loadedVersion) || sameVersion(acknowledged, loadedVersion)) return;
  survey(loadedVersion);
  if (current < alive) return;
  memory.copy(acknowledged, loadedVersion, VERSION_BYTES);
  poll();
}

/** Sends a poll. One that is still under way is superseded: its answer will be ignored. */
function poll(): void {
  survey(loadedVersion);
  beginPairs();
  pairAscii(':method', 'GET');
  pairAscii(':path', RULESET_PATH);
  pairBytes(':authority', authorityAt, authorityLength);
  if (tokenLength != 0) {
    beginPair('authorization');
    addAscii('Bearer ');
    addBytes(tokenAt, tokenLength);
    endPair();
  }
  pairNumber('prefer', 'wait=', mustAnswerAtOnce() ? 0 : waitSeconds());
  if (!noVersion(loadedVersion)) {
    beginPair('if-none-match');
    addAscii('"');
    addBytes(loadedVersion, VERSION_BYTES);
    addAscii('"');
    endPair();
  }
  pairBytes(HEADER_PROXY, nodeAt, nodeLength);
  pairBytes(HEADER_NAMESPACE, namespaceAt, namespaceLength);
  pairBytes(HEADER_WORKLOAD, workloadAt, workloadLength);
  pairBytes(HEADER_LABELS, labelsAt, labelsLength);
  pairAscii(HEADER_FILTER, FILTER_VERSION);
  pairNumber(HEADER_LAYOUT_VERSION, '', LAYOUT_VERSION);
  pairNumber(HEADER_LEASE, '', leaseMs);
  pairNumber(HEADER_VMS, '', alive);
  pairNumber(HEADER_POLL_FAILURES, '', failures);
  beginPair(HEADER_REQUESTS);
  addNumber(inboundRequests());
  addAscii(';');
  addNumber(outboundRequests());
  endPair();
  if (revision != 0) pairNumber(HEADER_REVISION, '', revision);
  if (!noVersion(acknowledged)) pairBytes(HEADER_ACKNOWLEDGED, acknowledged, VERSION_BYTES);
  if (refusals != 0) {
    beginPair(HEADER_REFUSED);
    addNumber(refusals);
    addAscii(';');
    addAscii(refusalText(lastRefusal));
    endPair();
  }
  if (!identityComplete()) {
    beginPair(HEADER_UNREADABLE);
    addUnreadable();
    endPair();
  }
  const timeoutMs = waitSeconds() * 1000 + ANSWER_TIMEOUT_MS;
  overdue = presentNs() + <u64>(timeoutMs + ANSWER_TIMEOUT_MS) * NS_PER_MS;
  call = finishPairs() ? httpCall(clusterAt, clusterLength, pairsAt, pairsLength, 0, 0, timeoutMs) : NO_CALL;
  if (call == NO_CALL) failed(NO_ANSWER);
}

function pairNumber(name: string, before: string, value: u64): void {
  beginPair(name);
  addAscii(before);
  addNumber(value);
  endPair();
}

/** An answer, or the news that none came. @returns whether it was the poll's */
export function answered(token: u32, bodySize: u32): bool {
  if (token != call) return false;
  call = NO_CALL;
  if (!callResponseHeader(':status')) {
    failed(NO_ANSWER);
    return true;
  }
  const status = <u32>readNumber(resultAt, resultLength);
  if (status != 200 && status != 304) {
    failed(status == 0 ? NO_ANSWER : status);
    return true;
  }
  // An answer without the time can't renew the lease: ends would be judged by a wrong clock.
  if (!callResponseHeader(HEADER_TIME)) {
    failed(NO_TIME);
    return true;
  }
  const time = <f64>readNumber(resultAt, resultLength);
  renewLease(time);
  heardOfReplica();
  // Not the larger of the two: after etcd was restored from a backup, revisions begin lower.
  if (callResponseHeader(HEADER_REVISION)) revision = readNumber(resultAt, resultLength);
  wasReceived(status == 200 ? receive(bodySize) : REFUSED_NOT);
  return true;
}

/** What became of a ruleset that the control plane sent. @param reason as of `takeReceived` */
export function wasReceived(reason: u32): void {
  if (reason == REFUSED_NOT) succeeded();
  else if (reason != REFUSED_NOT_YET) refuse(reason);
}

/** Every answer renews the lease, also one whose ruleset is refused: the control plane is there, and sees the refusal. */
function renewLease(time: f64): void {
  if (lastFailure != NO_FAILURE) {
    lastFailure = NO_FAILURE;
    beginText();
    addAscii('hfi: connected to the control plane again');
    logText(LOG_INFO);
  }
  showConnected(true);
  const now = presentNs();
  anchorTime = time;
  publishState(loadedVersion, time, now, now + <u64>leaseMs * NS_PER_MS, ownQueue);
}

function succeeded(): void {
  backoffMs = 0;
  const now = presentNs();
  // Again, now that the version may be another one.
  publishState(loadedVersion, anchorTime, now, now + <u64>leaseMs * NS_PER_MS, ownQueue);
  nextPoll = now + CONFIRM_NS;
  wakeOthers();
  // A version that all run already needs no confirmation.
  if (sameVersion(acknowledged, loadedVersion)) poll();
}

function receive(bodySize: u32): u32 {
  if (bodySize > MAX_RULESET_BYTES) return REFUSED_TOO_LARGE;
  if (!callResponseHeader('etag') || resultLength != VERSION_BYTES + 2) return REFUSED_LENGTH;
  memory.copy(received, resultAt + 1, VERSION_BYTES);
  // That all ran it once doesn't say that they do again.
  if (sameVersion(received, acknowledged)) memory.fill(acknowledged, 0, VERSION_BYTES);
  if (bodySize == 0) return REFUSED_LENGTH;
  lendOnce(roomToTake(bodySize), bodySize);
  const came = callResponseBody(bodySize) && resultLength == bodySize;
  lendOnce(0, 0);
  if (!came) return REFUSED_LENGTH;
  return takeReceived(received, resultAt, bodySize);
}

function refuse(reason: u32): void {
  refusals++;
  countRefused();
  if (reason != lastRefusal) {
    lastRefusal = reason;
    beginText();
    addAscii('hfi: refused a ruleset: ');
    addAscii(refusalText(reason));
    addAscii('; the one in force stays');
    logText(LOG_WARN);
  }
  backOff();
}

/** @param reason an HTTP status or one of the failures that are none */
function failed(reason: u32): void {
  failures++;
  countPollFailure();
  showConnected(false);
  if (reason != lastFailure) {
    lastFailure = reason;
    beginText();
    addAscii('hfi: the control plane ');
    if (reason == NO_ANSWER) addAscii('does not answer');
    else if (reason == NO_TIME) addAscii('answered without x-hfi-time');
    else {
      addAscii('answered with status ');
      addNumber(reason);
    }
    addAscii('; faults in force end with the lease');
    logText(LOG_WARN);
  }
  backOff();
}

/** Doubles the pause up to its most, and waits for a random half to whole of it, so that proxies don't come back all at once. */
function backOff(): void {
  backoffMs = backoffMs == 0 ? FIRST_BACKOFF_MS : min<u64>(backoffMs * 2, MOST_BACKOFF_MS);
  const half = backoffMs / 2;
  nextPoll = presentNs() + (half + (random64() % (half + 1))) * NS_PER_MS;
}

/** Seconds left of the lease. */
export function leaseLeft(): u64 {
  const now = presentNs();
  return leaseUntil > now ? (leaseUntil - now) / 1_000_000_000 : 0;
}

/** A VM that takes the turn over knows nothing of the old one's poll. */
export function forgetPoll(): void {
  call = NO_CALL;
  nextPoll = 0;
}
