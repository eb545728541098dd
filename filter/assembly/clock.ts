import { proxy_get_current_time_nanoseconds } from '@solo-io/proxy-runtime/assembly/imports';
import { clock_time_get } from './imports';

export const NS_PER_MS: u64 = 1_000_000;

const MONOTONIC: u32 = 1;
const timeAt: usize = memory.data(8, 8);

/** The monotonic time of the present callback in ns; 0 = not read yet. */
let present: u64 = 0;

/** What the control plane's clock showed, in ms since the epoch, and the monotonic time of that moment, in ns. */
let anchorMs: f64 = 0;
let anchorNs: u64 = 0;

/** Forgets the time of the last callback. Called first in each exported callback that may ask for the time. */
export function resetClock(): void {
  present = 0;
}

/** Nanoseconds on a clock that never jumps and that all VMs of this Envoy share. */
export function monotonicNs(): u64 {
  if (clock_time_get(MONOTONIC, 0, timeAt) == 0) return load<u64>(timeAt);
  proxy_get_current_time_nanoseconds(timeAt);
  return load<u64>(timeAt);
}

/** The same, read from the host at most once a callback. */
export function presentNs(): u64 {
  if (present == 0) present = monotonicNs();
  return present;
}

/** Takes the control plane's time. */
export function setAnchor(controlPlaneMs: f64, atNs: u64): void {
  anchorMs = controlPlaneMs;
  anchorNs = atNs;
}

/** The control plane's time now, in milliseconds since the epoch: its last word plus what the monotonic clock counted since. */
export function nowMs(): f64 {
  return anchorMs + <f64>(<i64>(presentNs() - anchorNs)) / 1e6;
}
