import { parseDuration } from './duration.ts';
import type { Fault, Policy } from './schema.ts';

/** When a rule ends, in milliseconds since the epoch; 0 means never. */
export function ruleEnd(fault: Fault, appliedAt: number): number {
  return fault.duration_seconds === 0 ? 0 : appliedAt + fault.duration_seconds * 1000;
}

/** When the last rule of a policy ends, in milliseconds since the epoch; 0 means never. */
export function policyEnd(policy: Policy, appliedAt: number): number {
  const ends = policy.spec.rules.map((rule) => ruleEnd(rule.fault, appliedAt));
  return ends.includes(0) ? 0 : Math.max(...ends);
}

/** How long a hit request is held in all, in milliseconds: `start_delay_ms` and the delay. */
export function heldMs(fault: Fault): number {
  const own = fault.delay?.fixed_delay_ms ?? (fault.delay?.fixed_delay === undefined ? 0 : (parseDuration(fault.delay.fixed_delay) ?? 0));
  return fault.start_delay_ms + own;
}
