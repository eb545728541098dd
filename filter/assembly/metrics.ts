import { addToMetric, COUNTER, defineMetric, GAUGE, HISTOGRAM, metricValue, setMetric } from './host';

/**
 * Every metric of the filter, once, by what follows `wasmcustom.hfi_` in its name. Envoy puts `wasmcustom.` before a plugin's metric and its Prometheus page takes it off
 * again; with one of our own the page shows `wasmcustom_hfi_…`, the names that dashboards for HFI know. They are of the whole Envoy, not of one VM, so a
 * gauge is set by one VM only: the elected one, or the one that it is about.
 */
let aborts: u32 = 0;
let resets: u32 = 0;
let requestChanges: u32 = 0;
let responseChanges: u32 = 0;
let shadowed: u32 = 0;
let delays: u32 = 0;
let delayDuration: u32 = 0;
let overflow: u32 = 0;
let delayed: u32 = 0;
let accepted: u32 = 0;
let refused: u32 = 0;
let pollsFailed: u32 = 0;
let reportsFailed: u32 = 0;
let connected: u32 = 0;
let leaseRemaining: u32 = 0;
let rules: u32 = 0;
let inbound: u32 = 0;
let outbound: u32 = 0;
let halt: u32 = 0;
let unreadable: u32 = 0;
let configInvalid: u32 = 0;
let defined = false;

export function defineMetrics(): void {
  if (defined) return;
  defined = true;
  aborts = defineMetric(COUNTER, 'faults_aborts_total');
  resets = defineMetric(COUNTER, 'faults_resets_total');
  requestChanges = defineMetric(COUNTER, 'faults_request_changes_total');
  responseChanges = defineMetric(COUNTER, 'faults_response_changes_total');
  shadowed = defineMetric(COUNTER, 'faults_shadowed_total');
  delays = defineMetric(COUNTER, 'faults_delays_total');
  delayDuration = defineMetric(HISTOGRAM, 'faults_delay_duration_milliseconds');
  overflow = defineMetric(COUNTER, 'faults_delays_overflow_total');
  delayed = defineMetric(GAUGE, 'requests_delayed');
  accepted = defineMetric(COUNTER, 'rulesets_accepted_total');
  refused = defineMetric(COUNTER, 'rulesets_refused_total');
  pollsFailed = defineMetric(COUNTER, 'polls_failed_total');
  reportsFailed = defineMetric(COUNTER, 'reports_failed_total');
  connected = defineMetric(GAUGE, 'connected');
  leaseRemaining = defineMetric(GAUGE, 'lease_remaining_seconds');
  rules = defineMetric(GAUGE, 'rules');
  inbound = defineMetric(COUNTER, 'requests_inbound_total');
  outbound = defineMetric(COUNTER, 'requests_outbound_total');
  halt = defineMetric(GAUGE, 'halted');
  unreadable = defineMetric(GAUGE, 'identity_unreadable');
  configInvalid = defineMetric(GAUGE, 'config_invalid');
}

export function countAbort(): void {
  addToMetric(aborts, 1);
}

export function countReset(): void {
  addToMetric(resets, 1);
}

export function countRequestChange(): void {
  addToMetric(requestChanges, 1);
}

export function countResponseChange(): void {
  addToMetric(responseChanges, 1);
}

/** A rule that would have done something, had it been asked to. */
export function countShadowed(): void {
  addToMetric(shadowed, 1);
}

/**
 * Takes one of the places for held requests. All VMs of the Envoy count in one gauge, so the limit is that of the proxy; it is
 * counted up first and looked at then, so that workers at the same moment may come short of it but never above.
 *
 * @returns whether there was one left; if not, the overflow is counted
 */
export function takePlace(limit: u32): bool {
  addToMetric(delayed, 1);
  if (metricValue(delayed) <= <u64>limit) return true;
  addToMetric(delayed, -1);
  addToMetric(overflow, 1);
  return false;
}

/** Gives a place back that was not used. */
export function givePlaceBack(): void {
  addToMetric(delayed, -1);
}

export function countDelay(): void {
  addToMetric(delays, 1);
}

/** @param ms how long the request was held */
export function countDelayEnd(ms: u64): void {
  setMetric(delayDuration, ms);
  addToMetric(delayed, -1);
}

/** A delayed request whose client went away. */
export function countDelayGone(): void {
  addToMetric(delayed, -1);
}

export function countOverflow(): void {
  addToMetric(overflow, 1);
}

export function countAccepted(): void {
  addToMetric(accepted, 1);
}

export function countRefused(): void {
  addToMetric(refused, 1);
}

export function countPollFailure(): void {
  addToMetric(pollsFailed, 1);
}

export function countReportFailure(): void {
  addToMetric(reportsFailed, 1);
}

export function showConnected(is: bool): void {
  setMetric(connected, is ? 1 : 0);
}

export function showLease(seconds: u64): void {
  setMetric(leaseRemaining, seconds);
}

export function showRules(count: u32): void {
  setMetric(rules, count);
}

export function showHalted(is: bool): void {
  setMetric(halt, is ? 1 : 0);
}

export function showUnreadable(is: bool): void {
  setMetric(unreadable, is ? 1 : 0);
}

export function showConfigInvalid(is: bool): void {
  setMetric(configInvalid, is ? 1 : 0);
}

/** Counts requests that came by in each direction. */
export function countRequests(more: u32, moreOutbound: u32): void {
  if (more != 0) addToMetric(inbound, more);
  if (moreOutbound != 0) addToMetric(outbound, moreOutbound);
}

export function inboundRequests(): u64 {
  return metricValue(inbound);
}

export function outboundRequests(): u64 {
  return metricValue(outbound);
}
