import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RE2 } from 're2-wasm';
import { accepts, compileRegex, RegexProblem } from '../../services/policy/regex/compile-regex.ts';

const utf8 = new TextEncoder();
const matches = (pattern: string, text: string, ignoreCase = false): boolean =>
  accepts(compileRegex(pattern, { ignoreCase }), utf8.encode(text));

const ATOMS = [
  'a',
  'b',
  '.',
  '\\w',
  '\\d',
  '\\S',
  '[ab]',
  '[^a]',
  '[[:alpha:]]',
  '\\pL',
  '\\p{Greek}',
  'k',
  'é',
  'σ',
  '\\x{10ffff}',
  '\\C',
  '\\n',
  '_',
  '-',
];
const ASSERTIONS = ['\\b', '\\B', '^', '$', '\\A', '\\z', '(?m:^)', '(?m:$)'];
const atom = fc.constantFrom(...ATOMS, ...ASSERTIONS, '(?s:.)', '(?i:k)', '(?i:σ)');
const pattern = fc.letrec<{ one: string }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    atom,
    fc.tuple(tie('one'), tie('one')).map(([left, right]) => left + right),
    fc.tuple(tie('one'), tie('one')).map(([left, right]) => `(?:${left}|${right})`),
    fc.tuple(tie('one'), fc.constantFrom('*', '+', '?', '{0,2}', '{2}', '*?', '{1,}')).map(([inside, often]) => `(?:${inside})${often}`),
  ),
})).one;
const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'k', 'K', '\u212a', 'é', 'σ', 'ς', 'Σ', '\n', '_', '1', '-', ' ', '\u{10ffff}'),
  maxLength: 6,
});

/** Undefined when it is too large, as some that are drawn are. */
function compiled(pattern: string): ReturnType<typeof compileRegex> | undefined {
  try {
    return compileRegex(pattern);
  } catch (error) {
    if (error instanceof RegexProblem && error.message.startsWith('regex too large')) return undefined;
    throw error;
  }
}

describe('regular expressions', () => {
  it('match what RE2 matches: 400 drawn expressions, 20,000 texts', function () {
    this.timeout(60_000);
    let matched = 0;
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 50, maxLength: 50 }), (drawn, texts) => {
        const re2 = new RE2(`\\A(?:${drawn})\\z`, 'u');
        const dfa = compiled(drawn);
        if (dfa === undefined) return;
        for (const one of texts) {
          re2.lastIndex = 0;
          const wanted = re2.test(one);
          assert.equal(accepts(dfa, utf8.encode(one)), wanted, JSON.stringify(one));
          if (wanted) matched++;
        }
      }),
      // RE2 in Wasm keeps what it compiled, in 16 MiB: shrinking would need more.
      { numRuns: 400, endOnFailure: true },
    );
    assert.ok(matched > 1000, `only ${matched} matches: the drawing is too thin`);
  });

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
    ['', [''], ['a']],
    ['\\C\\C\\C', ['本', 'aé'], ['é', 'abcd']],
    ['\\Q\\C\\E\\\\C', ['\\C\\C'], ['\\Ca']],
    ['(?P<hfi_any_byte_0>a)\\C', ['ab'], ['bb']],
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
    ['(?P<n>a)(?P<n>b)', 'duplicate capture group name: n', 12],
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
