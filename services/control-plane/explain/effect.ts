import { parseDuration } from '../../policy/duration.ts';
import type { Fault, Policy } from '../../policy/schema.ts';
import { compileRuleset } from '../ruleset/compile.ts';
import type { ExplainedRule } from './answer.ts';
import { tried } from './laboratory.ts';
import type { Subject } from './questions.ts';
import { cookieIn, headerIn } from './shown.ts';
import type { Standing } from './standing.ts';

/** What comes of a request that a rule decides. */
export interface Effect {
  readonly kind: 'fault' | 'chance' | 'none';
  /** The share of such requests that it hits now. */
  readonly percent: number;
  readonly sticky: ExplainedRule['sticky'];
}

/** Nothing is drawn, but for dice that stick to a value: these fall the same way each time, so the filter is asked how. */
export function effectOf(subject: Subject, { rule, stored }: Standing): Effect {
  const { fault } = rule;
  const share = percentNow(fault, stored.appliedAt, subject.now);
  if (fault.sticky === undefined) return { kind: share === 0 ? 'none' : share === 100 ? 'fault' : 'chance', percent: share, sticky: null };
  const hit = isHit(subject, fault, stored.appliedAt);
  const { header, cookie = '' } = fault.sticky;
  const value = header === undefined ? cookieIn(subject.asked, cookie) : headerIn(subject.asked, header);
  return {
    kind: hit ? 'fault' : 'none',
    percent: hit ? 100 : 0,
    sticky: { by: header === undefined ? { cookie } : { header }, value, hit },
  };
}

function percentNow({ percentage }: Fault, appliedAt: number, now: number): number {
  if (typeof percentage === 'number') return percentage;
  const { from, to, over } = percentage.ramp;
  const way = Math.min(1, Math.max(0, (now - appliedAt) / (parseDuration(over) ?? 1)));
  return Math.round((from + (to - from) * way) * 10_000) / 10_000;
}

/** A rule with the same dice that takes any request. */
function isHit(subject: Subject, { percentage, sticky }: Fault, appliedAt: number): boolean {
  const { direction, now, asked, module } = subject;
  const policy: Policy = {
    metadata: { name: 'sticky' },
    spec: {
      selector: {},
      direction,
      mode: 'enforce',
      priority: 0,
      rules: [
        {
          match: { probes: true },
          fault: { percentage, sticky, start_delay_ms: 0, duration_seconds: 0, abort: { httpStatus: 503 } },
        },
      ],
    },
  };
  const report = tried(module, compileRuleset([{ policy, appliedAt }], now), asked, direction, now);
  return [...report.values()].some(({ injected = 0 }) => injected > 0);
}
