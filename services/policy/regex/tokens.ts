/** A pattern taken apart as far as an escape, a quotation or a class changes what a character means. */

export interface Token {
  readonly text: string;
  /** Index of its first character in the pattern. */
  readonly at: number;
}

/** A quotation, an escape, a class with what is in it, or else one character. */
const TOKEN = /\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:[^\]]*:\]|\\.|[^\]\\])*\]?|./gs;

/** The pattern's tokens, which together are the pattern. */
export function tokensOf(pattern: string): Token[] {
  return Array.from(pattern.matchAll(TOKEN), ({ 0: text, index }) => ({ text, at: index }));
}
