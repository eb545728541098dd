import { RE2JS, RE2JSSyntaxException } from 're2js';
import { withAnyByteGroups, withoutAnyByteGroups } from './any-byte.ts';
import { withoutRepeatedNames } from './repeated-names.ts';
import { tokensOf } from './tokens.ts';

/** What is wrong with a pattern, and where. */
export interface SyntaxProblem {
  readonly message: string;
  /** Index of the character in the pattern. */
  readonly position: number | undefined;
}

/** What re2js puts in front of a pattern. */
const IGNORE_CASE = '(?i)';
/** Places that are tried before one goes without. */
const MOST_TRIES = 8;

/**
 * Explains what re2js complains about. It tells the fragment and not its place, so the first place counts at which the pattern is wrong
 * in just that way when it ends there.
 */
export function syntaxProblem(pattern: string, ignoreCase: boolean, error: RE2JSSyntaxException): SyntaxProblem {
  const prefix = ignoreCase ? IGNORE_CASE : '';
  const { reason, fragment } = told(error, prefix);
  if (reason === 'missing closing )') return { message: reason, position: unclosed(pattern) };
  if (reason === 'unexpected )') return { message: reason, position: unopened(pattern) };
  if (fragment === '') return { message: reason, position: pattern.length - 1 };
  const same = (end: number): boolean => {
    try {
      RE2JS.compile(prefix + withAnyByteGroups(withoutRepeatedNames(pattern.slice(0, end))).pattern);
      return false;
    } catch (other) {
      if (!(other instanceof RE2JSSyntaxException)) throw other;
      const found = told(other, prefix);
      return found.reason === reason && found.fragment === fragment;
    }
  };
  let position: number | undefined;
  let at = pattern.indexOf(fragment);
  for (let tries = 0; at !== -1 && position === undefined && tries < MOST_TRIES; tries++) {
    const end = at + fragment.length;
    // Some are seen only by the character behind.
    if (same(end) || same(end + 1)) position = at;
    at = pattern.indexOf(fragment, at + 1);
  }
  // re2js would take it for a group's name.
  const lookBehind = /^\(\?<[=!]/.exec(fragment)?.[0];
  return { message: lookBehind === undefined ? `${reason}: ${fragment}` : `invalid or unsupported Perl syntax: ${lookBehind}`, position };
}

function told(error: RE2JSSyntaxException, prefix: string): { reason: string; fragment: string } {
  const { error: reason, input } = error as unknown as { readonly error: string; readonly input: string | null };
  const fragment = withoutAnyByteGroups(input ?? '');
  return { reason, fragment: fragment.startsWith(prefix) ? fragment.slice(prefix.length) : fragment };
}

/** Where the last group begins that doesn't end. */
function unclosed(pattern: string): number | undefined {
  const open: number[] = [];
  for (const { text, at } of tokensOf(pattern)) {
    if (text === '(') open.push(at);
    if (text === ')') open.pop();
  }
  return open.at(-1);
}

/** Where the first group ends that doesn't begin. */
function unopened(pattern: string): number | undefined {
  let depth = 0;
  return tokensOf(pattern).find(({ text }) => {
    if (text === '(') depth++;
    return text === ')' && --depth < 0;
  })?.at;
}
