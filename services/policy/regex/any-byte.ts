import { tokensOf } from './tokens.ts';

/**
 * `\C`, which takes one byte of whatever there is. re2js doesn't know it, so each is parsed as a named group around a character,
 * and found again by that name in what re2js compiled.
 */

const NAME = 'hfi_any_byte_';
const GROUP = new RegExp(`\\(\\?P<${NAME}+\\d+>\\\\x\\{10ffff\\}\\)`, 'g');

export interface Grouped {
  readonly pattern: string;
  /** Whether a group of that name stands for a byte. */
  readonly isAnyByte: (name: string) => boolean;
}

/** The pattern with a group in the place of every `\C` that stands for a byte: not in a class, where RE2 refuses it, and not quoted. */
export function withAnyByteGroups(pattern: string): Grouped {
  if (!pattern.includes('\\C')) return { pattern, isAnyByte: () => false };
  let name = NAME;
  while (pattern.includes(name)) name += '_';
  const written = tokensOf(pattern).map(({ text, at }) => (text === '\\C' ? `(?P<${name}${at}>\\x{10ffff})` : text));
  return { pattern: written.join(''), isAnyByte: (group) => group.startsWith(name) };
}

/** A fragment of such a pattern as it was written. */
export function withoutAnyByteGroups(fragment: string): string {
  return fragment.replace(GROUP, '\\C');
}
