import type { NestedMatch } from '../../policy/match.ts';
import type { Direction, Policy } from '../../policy/schema.ts';
import type { TextMatch } from '../../policy/string-match.ts';
import { compileRuleset } from '../ruleset/compile.ts';
import { keyText, ruleKey, runKey } from '../ruleset/rule-key.ts';
import { pause, type Runtime } from '../runtime.ts';
import { tried } from './laboratory.ts';
import type { Asked } from './request.ts';

/**
 * Asks the filter whether matches are for a request, many at once: each becomes a rule that lets its matching requests be
 * (`after`), so that the filter goes on to the next rule, and says in its report which ones matched.
 */

/** A rule that lets so many matches be lets all be. */
const NEVER = 1_000_000_000;
const NAME = 'question';
const ABORT = { percentage: 100, start_delay_ms: 0, duration_seconds: 0, abort: { httpStatus: 503 } } as const;

/** How long one question to the filter may take, in milliseconds: others wait meanwhile. */
const AT_ONCE_MS = 15;
const FIRST_BATCH = 32;
const MOST_IN_BATCH = 1024;

export interface Subject {
  readonly module: WebAssembly.Module;
  readonly asked: Asked;
  readonly direction: Direction;
  /** The control plane's clock, in milliseconds since the epoch. */
  readonly now: number;
  /** Paths that no rule is for. */
  readonly never?: readonly TextMatch[];
}

export interface Question {
  readonly match: NestedMatch;
  /** Whether a health probe is let be, as rules do that don't ask for probes. */
  readonly sparesProbes: boolean;
}

/**
 * Whether each match is for the request. Others have their turn between two batches.
 *
 * @param until on the clock that never goes back, in milliseconds
 * @returns fewer answers than questions when the time is over
 */
export async function answered(runtime: Runtime, subject: Subject, questions: readonly Question[], until: number): Promise<boolean[]> {
  const { elapsed } = runtime.clock;
  const answers: boolean[] = [];
  let size = FIRST_BATCH;
  while (answers.length < questions.length && elapsed() < until) {
    const begun = elapsed();
    answers.push(...atOnce(subject, questions.slice(answers.length, answers.length + size)));
    const took = Math.max(elapsed() - begun, 1);
    size = Math.max(1, Math.min(MOST_IN_BATCH, size * 2, Math.floor((size * AT_ONCE_MS) / took)));
    await pause(runtime, 0);
  }
  return answers;
}

function atOnce(subject: Subject, questions: readonly Question[]): boolean[] {
  const { now, direction, never } = subject;
  const policy: Policy = {
    metadata: { name: NAME },
    spec: {
      selector: {},
      direction,
      mode: 'enforce',
      priority: 0,
      rules: questions.map(({ match, sparesProbes }) => ({ match: { ...match, after: NEVER, probes: !sparesProbes }, fault: ABORT })),
    },
  };
  const report = tried(subject.module, compileRuleset([{ policy, appliedAt: now, never }], now), subject.asked, direction, now);
  const first = runKey(NAME, now);
  return questions.map((_, i) => report.has(keyText(ruleKey(first, i))));
}
