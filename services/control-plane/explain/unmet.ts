import type { Runtime } from '../runtime.ts';
import type { Unmet } from './answer.ts';
import { type Part, partsOf, withAll } from './parts.ts';
import { answered, type Question, type Subject } from './questions.ts';
import type { Asked } from './request.ts';
import { shownIn } from './shown.ts';
import type { Standing } from './standing.ts';

/** Parts of matches that are asked about for one explanation, at most. */
const MOST_PARTS = 20_000;

/**
 * Finds out what of matches does not hold.
 *
 * @param rules whose matches as a whole don't
 * @param until on the clock that never goes back, in milliseconds
 * @returns nothing for those of which there was no time left to find it out
 */
export async function unmetMatches(
  runtime: Runtime,
  subject: Subject,
  rules: readonly Standing[],
  until: number,
): Promise<Map<Standing, readonly Unmet[]>> {
  const taken = new Map<Standing, readonly Part[]>();
  const all: Part[] = [];
  for (const one of rules) {
    const path = `spec.rules[${one.index}].match`;
    const parts = [...partsOf(one.rule.match ?? {}, path), ...(one.rule.match?.probes === true ? [] : [sparedProbes(path)])];
    if (all.length + parts.length > MOST_PARTS) break;
    taken.set(one, parts);
    all.push(...parts.flatMap(withAll));
  }
  const answers = await answered(runtime, subject, all.map(asQuestion), until);
  const holds = new Map(answers.map((answer, i) => [all[i], answer]));
  const known = [...taken].filter(([, parts]) => parts.flatMap(withAll).every((part) => holds.has(part)));
  return new Map(known.map(([rule, parts]) => [rule, unmetIn(parts, holds, subject.asked)]));
}

/** Health probes are let be by a rule that doesn't ask for them. */
function sparedProbes(path: string): Part {
  return { path: `${path}.probes`, alone: {}, field: ['probes'] };
}

function asQuestion({ field, alone }: Part): Question {
  return { match: alone, sparesProbes: field[0] === 'probes' };
}

function unmetIn(parts: readonly Part[], holds: ReadonlyMap<Part | undefined, boolean>, asked: Asked): Unmet[] {
  return parts.flatMap((part): Unmet[] => {
    if (holds.get(part) === true) return [];
    const { path, field, alone, alternatives = [] } = part;
    const wants: Unmet['wants'] = field[0] === 'probes' ? { probes: true } : { ...alone };
    const own = { path, wants, has: shownIn(asked, field, nameOf(part)) };
    return [own, ...alternatives.flatMap((alternative) => unmetIn(alternative, holds, asked))];
  });
}

/** The header's, parameter's or cookie's. */
function nameOf({ alone, field: [first] }: Part): string {
  const list = first === 'headers' || first === 'query' || first === 'cookies' ? alone[first] : undefined;
  return list?.[0]?.name ?? '';
}
