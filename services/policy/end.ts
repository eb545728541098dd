import type { Policy, Rule } from './schema.ts';

/** When a rule ends, in milliseconds since the epoch; 0 means never. */
export function ruleEnd({ fault, match }: Rule, appliedAt: number): number {
  const ends = [
    ...(fault.duration_seconds === 0 ? [] : [appliedAt + fault.duration_seconds * 1000]),
    ...(match?.window?.end === undefined ? [] : [Date.parse(match.window.end)]),
  ];
  return ends.length === 0 ? 0 : Math.min(...ends);
}

/** When the last rule of a policy ends, in milliseconds since the epoch; 0 means never. */
export function policyEnd(policy: Policy, appliedAt: number): number {
  const ends = policy.spec.rules.map((rule) => ruleEnd(rule, appliedAt));
  return ends.includes(0) ? 0 : Math.max(...ends);
}
