import { arenaAllocate } from './arena';
import { monotonicNs, NS_PER_MS, presentNs } from './clock';
import { authorityAt, authorityLength, clusterAt, clusterLength, tokenAt, tokenLength } from './config';
import { callResponseHeader, httpCall, resultAt, resultLength } from './host';
import { labelsAt, labelsLength, namespaceAt, namespaceLength, nodeAt, nodeLength, workloadAt, workloadLength } from './identity';
import { countReportFailure } from './metrics';
import { revision } from './poll';
import { HEADER_EPOCH, HEADER_LABELS, HEADER_NAMESPACE, HEADER_PROXY, HEADER_REVISION, HEADER_WORKLOAD, REPORTS_PATH } from './protocol';
import { heardOfReplica } from './replicas';
import { beginPair, beginPairs, endPair, finishPairs, pairAscii, pairBytes, pairsAt, pairsLength } from './request-pairs';
import { epoch, noteAcknowledged } from './shared-tallies';
import { acknowledge, forgotten, isNew, sumAt, sumCount, sumUp } from './sums';
import { COUNTER_NAMES, END_OF_COUNTERS, FIRST_COUNTER, TALLY_KEY } from './tally-layout';
import { addAscii, addByte, addBytes, addHex, addNumber, beginText, putText, readNumber, textLength } from './text';

/**
 * Tells the control plane what all VMs of this Envoy have counted, when it is more than what was acknowledged. Only the elected VM is
 * in here. The numbers count from the process's start, so one that comes twice, late or never does no harm.
 */

const NO_CALL: u32 = 0xffffffff;
const NOT_FOUND: u32 = 404;
const TIMEOUT_MS: u32 = 5000;
const OVERDUE_NS: u64 = 10_000 * NS_PER_MS;
/** Rules in one report: with long numbers they still fit into the text's room. */
const MOST_RULES: u32 = 32;
/** A little less than the second after which the timer comes by again. */
const PAUSE_NS: u64 = 900 * NS_PER_MS;
const FIRST_BACKOFF_MS: u64 = 1000;
const MOST_BACKOFF_MS: u64 = 8000;
/** A control plane that knows no reports may be replaced by one that does. */
const UNKNOWN_BACKOFF_MS: u64 = 60_000;

let call: u32 = NO_CALL;
let overdue: u64 = 0;
let nextReport: u64 = 0;
let backoffMs: u64 = 0;
/** When the numbers that are being told were read. */
let summedAt: u64 = 0;
let forgottenBefore: u32 = 0;
/** Where in the sums the report under way ends, and the next one begins. */
let told: u32 = 0;
/** The rules in the report under way: key, and the sum of its counters. */
const underWay: usize = memory.data(32 * 16, 8);
let underWayCount: u32 = 0;

/** Sends a report when there is something to tell and none is under way. Call only after `leads()` said yes in the same callback. */
export function reportWhenDue(): void {
  const now = presentNs();
  if (call != NO_CALL) {
    if (now < overdue) return;
    call = NO_CALL;
    failed(0);
  }
  if (now < nextReport) return;
  // Not the time of the callback's beginning: this VM has put down its own counts since.
  summedAt = monotonicNs();
  if (!sumUp()) return;
  forgottenBefore = forgotten;
  nextReport = now + PAUSE_NS;
  told = 0;
  tell();
}

/** @returns whether there was something left to tell */
function tell(): bool {
  beginText();
  addAscii('{"rules":[');
  underWayCount = 0;
  while (told < sumCount() && underWayCount < MOST_RULES) {
    const sum = sumAt(told++);
    if (isNew(sum)) addRule(sum);
  }
  if (underWayCount == 0) return false;
  addAscii(']}');
  const bodyLength = textLength();
  const body = arenaAllocate(bodyLength);
  if (body == 0) {
    failed(0);
    return true;
  }
  putText(body);
  send(body, bodyLength);
  return true;
}

function addRule(sum: usize): void {
  if (underWayCount != 0) addAscii(',');
  addAscii('{"key":"');
  addHex(load<u64>(sum + TALLY_KEY));
  addAscii('"');
  let total: u64 = 0;
  for (let counter = FIRST_COUNTER; counter < END_OF_COUNTERS; counter += 8) {
    const value = load<u64>(sum + counter);
    if (value == 0) continue;
    total += value;
    addAscii(',"');
    addCounterName((counter - FIRST_COUNTER) / 8);
    addAscii('":');
    addNumber(value);
  }
  addAscii('}');
  const entry = underWay + underWayCount * 16;
  store<u64>(entry, load<u64>(sum + TALLY_KEY));
  store<u64>(entry, total, 8);
  underWayCount++;
}

function addCounterName(number: u32): void {
  for (let i = 0, n = COUNTER_NAMES.length; i < n; i++) {
    const code = <u32>COUNTER_NAMES.charCodeAt(i);
    if (code == 0x20) number--;
    else if (number == 0) addByte(code);
  }
}

function send(body: usize, bodyLength: u32): void {
  const drawn = epoch();
  beginPairs();
  pairAscii(':method', 'POST');
  pairAscii(':path', REPORTS_PATH);
  pairBytes(':authority', authorityAt, authorityLength);
  pairAscii('content-type', 'application/json');
  if (tokenLength != 0) {
    beginPair('authorization');
    addAscii('Bearer ');
    addBytes(tokenAt, tokenLength);
    endPair();
  }
  pairBytes(HEADER_PROXY, nodeAt, nodeLength);
  pairBytes(HEADER_NAMESPACE, namespaceAt, namespaceLength);
  pairBytes(HEADER_WORKLOAD, workloadAt, workloadLength);
  pairBytes(HEADER_LABELS, labelsAt, labelsLength);
  beginPair(HEADER_EPOCH);
  addHex(drawn);
  endPair();
  if (revision != 0) {
    beginPair(HEADER_REVISION);
    addNumber(revision);
    endPair();
  }
  overdue = presentNs() + OVERDUE_NS;
  call = finishPairs() ? httpCall(clusterAt, clusterLength, pairsAt, pairsLength, body, bodyLength, TIMEOUT_MS) : NO_CALL;
  if (call == NO_CALL) failed(0);
}

/** An answer, or the news that none came. Does nothing when it isn't the report's. */
export function reportAnswered(token: u32): void {
  if (token != call) return;
  call = NO_CALL;
  const status = callResponseHeader(':status') ? <u32>readNumber(resultAt, resultLength) : 0;
  if (status < 200 || status > 299) {
    failed(status);
    return;
  }
  heardOfReplica();
  backoffMs = 0;
  for (let i: u32 = 0; i < underWayCount; i++) acknowledge(load<u64>(underWay + i * 16), load<u64>(underWay + i * 16, 8));
  // What was told before somebody new was heard of is told again in the next round.
  if (!tell() && forgotten == forgottenBefore) noteAcknowledged(summedAt);
}

function failed(status: u32): void {
  countReportFailure();
  backoffMs = backoffMs == 0 ? FIRST_BACKOFF_MS : min<u64>(backoffMs * 2, MOST_BACKOFF_MS);
  nextReport = presentNs() + (status == NOT_FOUND ? UNKNOWN_BACKOFF_MS : backoffMs) * NS_PER_MS;
}
