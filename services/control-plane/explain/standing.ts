import { ruleEnd } from '../../policy/end.ts';
import { isOver } from '../../policy/lifecycle.ts';
import type { Rule } from '../../policy/schema.ts';
import { keyText, ruleKey, runKey } from '../ruleset/rule-key.ts';
import type { Runtime } from '../runtime.ts';
import type { StoredPolicy } from '../store/store.ts';
import { withoutTurns } from './parts.ts';
import { answered, type Subject } from './questions.ts';

/** A rule at its place in the order of decision, and what the filter says of its match. */
export interface Standing {
  readonly stored: StoredPolicy;
  /** `<policy>/<index>`, and where it stands in its policy. */
  readonly name: string;
  readonly index: number;
  readonly rule: Rule;
  /** By which the filter reports of it. */
  readonly key: string;
  readonly time: 'open' | 'not-yet' | 'ended' | 'spent';
  /** Whether its match is for the request, whatever its time; false when it is over, and so wasn't asked. */
  readonly matches: boolean;
}

/** The proxy's rules are too many to be asked in time. */
export class TooManyRules extends Error {
  override readonly name = 'TooManyRules';
}

/**
 * Asks the filter about the rules of policies.
 *
 * @param policies in the order of decision
 * @param over the rules of a policy that are over before their ends
 * @param until on the clock that never goes back, in milliseconds
 * @throws TooManyRules
 */
export async function standingOf(
  runtime: Runtime,
  subject: Subject,
  policies: readonly StoredPolicy[],
  over: (stored: StoredPolicy) => ReadonlySet<number>,
  until: number,
): Promise<Standing[]> {
  const rules = policies.flatMap((stored) => {
    const { policy, appliedAt } = stored;
    const spent = over(stored);
    const first = runKey(policy.metadata.name, appliedAt);
    return policy.spec.rules.map((rule, index) => ({
      stored,
      name: `${policy.metadata.name}/${index}`,
      index,
      rule,
      key: keyText(ruleKey(first, index)),
      time: isOver(stored, subject.now) ? 'ended' : timeOf(rule, appliedAt, spent.has(index), subject.now),
    }));
  });
  const asked = rules.filter(({ time }) => time === 'open' || time === 'not-yet');
  const answers = await answered(
    runtime,
    subject,
    asked.map(({ rule: { match } }) => ({ match: withoutTurns(match), sparesProbes: match?.probes !== true })),
    until,
  );
  if (answers.length < asked.length) throw new TooManyRules(`${asked.length} rules`);
  const matching = new Set(asked.filter((_, i) => answers[i]));
  return rules.map((rule) => ({ ...rule, matches: matching.has(rule) }));
}

function timeOf(rule: Rule, appliedAt: number, spent: boolean, now: number): Standing['time'] {
  const end = ruleEnd(rule, appliedAt);
  if (end !== 0 && end <= now) return 'ended';
  if (spent) return 'spent';
  const start = rule.match?.window?.start;
  return start !== undefined && Date.parse(start) > now ? 'not-yet' : 'open';
}
