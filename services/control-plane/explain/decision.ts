import type { Match } from '../../policy/schema.ts';
import type { Explanation } from './answer.ts';
import type { Effect } from './effect.ts';
import type { Standing } from './standing.ts';

/**
 * The rules that may decide the request, in order: the first that matches, and behind one that hangs on how many requests matched
 * before (`after`, `every`, `sequence`, `limit`) the next.
 */
export function chainOf(rules: readonly Standing[]): Standing[] {
  const matching = rules.filter(({ matches, time }) => matches && time === 'open');
  const last = matching.findIndex(({ rule }) => turnsOf(rule.match) === null);
  return last === -1 ? matching : matching.slice(0, last + 1);
}

/** What of a match hangs on earlier requests; null when nothing does. */
export function turnsOf({ after, every, sequence, limit }: Partial<Match> = {}): Record<string, unknown> | null {
  const given = Object.entries({ after, every, sequence, limit }).filter(([, value]) => value !== undefined);
  return given.length === 0 ? null : Object.fromEntries(given);
}

/** @param effects what comes of a request that each rule of the chain decides */
export function verdictOf(chain: readonly Standing[], effects: ReadonlyMap<Standing, Effect>): Explanation['verdict'] {
  const [first] = chain;
  const effect = first && effects.get(first);
  if (first === undefined || effect === undefined) return { outcome: 'none', fault: false, rule: null, percent: 0 };
  const fault = chain.some((one) => !isShadow(one) && effects.get(one)?.kind !== 'none');
  if (turnsOf(first.rule.match) !== null) return { outcome: 'counts', fault, rule: first.name, percent: null };
  const outcome = isShadow(first) && effect.kind !== 'none' ? 'shadow' : effect.kind;
  return { outcome, fault, rule: first.name, percent: fault ? effect.percent : 0 };
}

function isShadow({ stored }: Standing): boolean {
  return stored.policy.spec.mode === 'shadow';
}
