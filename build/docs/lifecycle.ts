import { readFileSync } from 'node:fs';
import { END_REASONS, EVENTS, type LifecycleEvent, PHASES, type Phase, TRANSITIONS } from '../../services/policy/lifecycle.ts';
import { code, generatedFrom, table } from './markdown.ts';

const NOTES = new URL('lifecycle-notes.md', import.meta.url);

/** `docs/reference/lifecycle.md`: the phases of a policy and what leads from one to the next, from the very table that decides. */
export function lifecyclePage(): string {
  const events = Object.keys(EVENTS) as LifecycleEvent[];
  const next = (phase: Phase): string[] =>
    events.map((event) => (TRANSITIONS[phase][event] === undefined ? '' : code(TRANSITIONS[phase][event])));
  return `${[
    generatedFrom('`services/policy/lifecycle.ts` and `build/docs/lifecycle-notes.md`'),
    "# A policy's life",
    'From each apply to its end a policy is one *run*. Its `status.phase` is where in that life it is.',
    table(
      ['phase', 'what holds'],
      Object.entries(PHASES).map(([phase, says]) => [code(phase), says]),
    ),
    'What happens to a run, and where it leads. What is empty can not happen.',
    table(
      ['phase', ...events.map(code)],
      (Object.keys(PHASES) as Phase[]).map((phase) => [code(phase), ...next(phase)]),
    ),
    table(
      ['event', 'when'],
      Object.entries(EVENTS).map(([event, says]) => [code(event), says]),
    ),
    'How it ended is in `status.end`: when, by whom, why in words, and the reason:',
    table(
      ['reason', ''],
      Object.entries(END_REASONS).map(([reason, says]) => [code(reason), says]),
    ),
    readFileSync(NOTES, 'utf8').trim(),
  ].join('\n\n')}\n`;
}
