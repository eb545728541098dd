import assert from 'node:assert/strict';
import { accepts, compileRegex, RegexProblem } from '../../services/policy/regex/compile-regex.ts';

const utf8 = new TextEncoder();
const matches = (pattern: string, text: string, ignoreCase = false): boolean =>
  accepts(compileRegex(pattern, { ignoreCase }), utf8.encode(text));

describe('regular expressions', () => {
  for (const [expression, yes, no] of [
    ['a|ab', ['a', 'ab'], ['', 'abc']],
    ['(?i)straße', ['STRAßE', 'straẞe'], ['strasse']],
    ['(?U)a+', ['aa'], ['']],
    ['(?m)^a$\\n^b$', ['a\nb'], ['ab']],
    ['(?s)a.b', ['a\nb'], ['ab']],
    ['\\Qa.b\\E', ['a.b'], ['axb']],
    ['a{,2}', ['a{,2}'], ['a']],
    ['\\x{e9}\\x41\\101', ['éAA'], ['eAA']],
    ['(?P<n>a)(?<m>b)', ['ab'], ['a']],
    ['(?P<n>a)(?P<n>b)', ['ab'], ['a']],
    ['(?P<n>,(?P<n>)|)', ['', ','], [',,']],
    ['(?P<n>a)[(?P<n>](\\(?P<n>)\\Q(?P<n>', ['a>P<n>(?P<n>', 'a((P<n>(?P<n>'], ['a>(?P<n>']],
    ['', [''], ['a']],
    ['\\C\\C\\C', ['本', 'aé'], ['é', 'abcd']],
    ['\\Q\\C\\E\\\\C', ['\\C\\C'], ['\\Ca']],
    ['(?P<hfi_any_byte_0>a)\\C', ['ab'], ['bb']],
    ['\\Q(', ['('], ['', '\\Q(']],
    ['a\\Q', ['a'], ['a\\Q']],
  ] as const) {
    it(`matches ${expression}`, () => {
      for (const one of yes) assert.ok(matches(expression, one), one);
      for (const one of no) assert.ok(!matches(expression, one), one);
    });
  }

  for (const [expression, message, position] of [
    ['a(', 'missing closing )', 1],
    ['\\Q(\\E[(](a|(b)', 'missing closing )', 8],
    ['a)b(', 'unexpected )', 1],
    ['a\\', 'trailing backslash at end of expression', 1],
    ['a[b', 'missing closing ]: [b', 1],
    ['\\8', 'invalid escape sequence: \\8', 0],
    ['\\\\8\\8', 'invalid escape sequence: \\8', 3],
    ['\\C\\C\\Z\\Z', 'invalid escape sequence: \\Z', 4],
    ['[\\C]', 'invalid escape sequence: \\C', 1],
    ['ab**', 'invalid nested repetition operator: **', 2],
    ['a(?=b)', 'invalid or unsupported Perl syntax: (?=', 1],
    ['a(?<=a)b', 'invalid or unsupported Perl syntax: (?<=', 1],
    ['(a)\\1', 'invalid escape sequence: \\1', 3],
    ['x{1001}', 'invalid repeat count: {1001}', 1],
    ['((a{100}){100}){100}', 'invalid repeat count: {100}', 9],
    ['[b-a]', 'invalid character class range: b-a', 1],
    ['(?P<n>a)(?P<n>\\8)', 'invalid escape sequence: \\8', 14],
    ['(?P<n>a)(?P<n>', 'missing closing )', 8],
    ['(?P<n>(?P<n>a))(?P<m', 'invalid named capture: (?P<m', 15],
  ] as const) {
    it(`refuses ${expression}, and says where`, () => {
      for (const ignoreCase of [false, true]) {
        assert.throws(
          () => compileRegex(expression, { ignoreCase }),
          (error) => error instanceof RegexProblem && error.message === message && error.position === position,
        );
      }
    });
  }

  for (const expression of ['[01]*1[01]{20}', '(?:a?){500}a{500}\\pL{900}', '(.*a.{12}|.*b.{13}|.*c.{14})', '\\pL{500}']) {
    it(`refuses ${expression} as too large`, () => {
      assert.throws(() => compileRegex(expression), /regex too large: .* at most \d+/);
    });
  }
});
