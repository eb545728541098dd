import { tokensOf } from './tokens.ts';

const NAMED_GROUP = /\(\?P?<([^>]+)>/y;

/**
 * The pattern with each group's name once. RE2 lets groups have one name and finds the first of them by it; re2js refuses it. Nothing is
 * found by a name here, so the others can go without.
 */
export function withoutRepeatedNames(pattern: string): string {
  const names = new Set<string>();
  const written: string[] = [];
  let dropUntil = 0;
  for (const { text, at } of tokensOf(pattern)) {
    if (at < dropUntil) continue;
    written.push(text);
    if (text !== '(') continue;
    NAMED_GROUP.lastIndex = at;
    const [whole, name] = NAMED_GROUP.exec(pattern) ?? [];
    if (whole === undefined || name === undefined) continue;
    if (names.has(name)) dropUntil = at + whole.length;
    names.add(name);
  }
  return written.join('');
}
