import { RE2JSSyntaxException } from 're2js';
import { type Automaton, determinize } from './determinize.ts';
import { minimize } from './minimize.ts';
import { type Program, programOf } from './program.ts';
import { syntaxProblem } from './syntax-error.ts';
import { addWork, type Work } from './work.ts';

/** What the filter runs over a text: one step a byte, whatever the expression. */
export type Dfa = Automaton;

/** States of an automaton at most, before it is made small. */
export const MOST_STATES = 4096;
/** Transitions of an automaton that is made small, at most; two bytes each in the ruleset. */
export const MOST_TRANSITIONS = 65_536;
/** Steps over a byte in the program, at most: `\pL` has 700. */
const MOST_STEPS = 10_000;
/** What the least expression costs. */
const LEAST_WORK = 100;

/** Why a text is no regular expression that can be used, and where. */
export class RegexProblem extends Error {
  /** Index of the character in the pattern, where it is known. */
  readonly position: number | undefined;

  constructor(message: string, position?: number) {
    super(message);
    this.position = position;
  }
}

/** Kept, for a policy is checked first and compiled later, and again for each proxy. */
const kept = new Map<string, { readonly dfa: Dfa; readonly work: number }>();
const MOST_KEPT = 1000;

/**
 * Compiles a regular expression in RE2's syntax into the smallest automaton over bytes that accepts just the texts that match
 * it as a whole.
 *
 * @throws RegexProblem when it is none, or too large
 */
export function compileRegex(pattern: string, { ignoreCase = false }: { readonly ignoreCase?: boolean } = {}): Dfa {
  const key = `${ignoreCase ? 'i' : '-'}${pattern}`;
  const known = kept.get(key);
  if (known !== undefined) {
    addWork(key, known.work);
    return known.dfa;
  }
  const work = { done: LEAST_WORK };
  try {
    const dfa = compile(pattern, ignoreCase, work);
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '');
    kept.set(key, { dfa, work: work.done });
    return dfa;
  } finally {
    addWork(key, work.done);
  }
}

function compile(pattern: string, ignoreCase: boolean, work: Work): Dfa {
  const program = parse(pattern, ignoreCase, work);
  if (program === undefined) {
    work.done += MOST_STEPS;
    throw new RegexProblem(`regex too large: more than ${MOST_STEPS} steps, at most ${MOST_STEPS}`);
  }
  const automaton = determinize(program, MOST_STATES, work);
  if (automaton === undefined) throw new RegexProblem(`regex too large: more than ${MOST_STATES} states, at most ${MOST_STATES}`);
  const dfa = minimize(automaton);
  const transitions = dfa.stateCount * dfa.classCount;
  if (transitions > MOST_TRANSITIONS) {
    throw new RegexProblem(`regex too large: ${dfa.stateCount} states with ${transitions} transitions, at most ${MOST_TRANSITIONS}`);
  }
  return dfa;
}

function parse(pattern: string, ignoreCase: boolean, work: Work): Program | undefined {
  try {
    return programOf(pattern, ignoreCase, MOST_STEPS, work);
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    const { message, position } = syntaxProblem(pattern, ignoreCase, error);
    throw new RegexProblem(message, position);
  }
}

/** Whether the automaton accepts a text: what the filter does, for tests. */
export function accepts({ classes, classCount, next, accepting, start }: Dfa, bytes: Uint8Array): boolean {
  let state = start;
  for (const byte of bytes) state = next[state * classCount + (classes[byte] ?? 0)] ?? 0;
  return accepting[state] === 1;
}
