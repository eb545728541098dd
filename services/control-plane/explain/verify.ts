import { turnsOf } from './decision.ts';
import type { Effect } from './effect.ts';
import type { Report } from './laboratory.ts';
import type { Standing } from './standing.ts';

/** Of no rule; what was met outside of its time. */
const NO_RULE = /^0{15}[01]$/;

/**
 * Holds an explanation against what the filter did with the proxy's own ruleset.
 *
 * @param report what it reported of that
 * @returns what does not fit; undefined when all does
 */
export function contradiction(report: Report, chain: readonly Standing[], effects: ReadonlyMap<Standing, Effect>): string | undefined {
  const keys = new Set(chain.map(({ key }) => key));
  for (const [key, { window = 0, ...counted }] of report) {
    if (NO_RULE.test(key) || keys.has(key) || Object.keys(counted).length === 0) continue;
    return `it decided by the rule with the key ${key}, which is not among ${chain.map(({ name }) => name).join(', ') || 'none'}`;
  }
  const [first] = chain;
  const certain = first !== undefined && turnsOf(first.rule.match) === null && effects.get(first)?.kind === 'fault';
  // What hangs on the answer's status is counted when that comes.
  if (!certain || first.rule.fault.ifStatus !== undefined || report.has(first.key)) return undefined;
  return `it did not decide by ${first.name}`;
}
