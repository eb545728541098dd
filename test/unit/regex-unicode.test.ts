import assert from 'node:assert/strict';
import { accepts, compileRegex } from '../../services/policy/regex/compile-regex.ts';
import { wholeMatches } from '../support/re2.ts';

/** Classes and cases of Unicode, sign by sign, against RE2 itself. */

const UNICODE_CLASSES = [
  '\\pL',
  '\\PL',
  '\\p{Lu}',
  '\\p{Ll}',
  '\\pN',
  '\\pM',
  '\\pP',
  '\\pS',
  '\\p{Zs}',
  '\\p{Cyrillic}',
  '\\p{Han}',
  '[^\\pL\\pN]',
];
const FOLDED = [
  '(?i)k',
  '(?i)s',
  '(?i)[^k]',
  '(?i)[a-z]',
  '(?i)[^a-z]',
  '(?i)\\p{Lu}',
  '(?i)[à-þ]',
  '(?i)σ',
  '(?i)ß',
  '(?i)[α-ω]',
  '(?i)[^\\p{Ll}]',
];

/** Signs that are of another class or script since Unicode 13. */
const CHANGED = new Set([0x295]);

const utf8 = new TextEncoder();

describe('regular expressions and Unicode', function () {
  this.timeout(50_000);

  it('have the same classes and cases, of every sign that RE2 knows below U+12000', () => {
    const signs = Array.from({ length: 0x12000 }, (_, i) => i).filter((one) => one < 0xd800 || one > 0xdfff);
    const bytes = signs.map((one) => utf8.encode(String.fromCodePoint(one)));
    // This RE2 has Unicode 13: it doesn't know what came later, nor which known letter is the other case of that.
    const isKnown = wholeMatches('[\\pL\\pM\\pN\\pP\\pS\\pZ\\pC]', bytes);
    const known = new Set(signs.filter((one, i) => isKnown[i] && !CHANGED.has(one)));
    const cases = (one: number): string[] => [String.fromCodePoint(one).toLowerCase(), String.fromCodePoint(one).toUpperCase()];
    const comparable = signs.map((one) =>
      [one, ...cases(one).flatMap((text) => [...text].map((sign) => sign.codePointAt(0) ?? 0))].every((sign) => known.has(sign)),
    );
    assert.ok(comparable.filter(Boolean).length > 50_000);
    for (const one of ['.', '\\w', '\\s', '\\bx?.', '[[:alpha:]]', ...UNICODE_CLASSES, ...FOLDED]) {
      const dfa = compileRegex(one);
      const wanted = wholeMatches(one, bytes);
      const other = signs.filter((_, i) => comparable[i] && accepts(dfa, bytes[i] ?? new Uint8Array()) !== wanted[i]);
      assert.deepEqual(
        other.map((sign) => sign.toString(16)),
        [],
        one,
      );
    }
  });
});
