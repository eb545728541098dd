import assert from 'node:assert/strict';
import fc from 'fast-check';
import { accepts, compileRegex, type Dfa, RegexProblem } from '../../services/policy/regex/compile-regex.ts';
import { refusal, wholeMatches } from '../support/re2.ts';

/** Expressions as the control plane compiles them against RE2 itself. */

/** Pairs of a drawn expression and a drawn text, of each kind. */
const PAIRS = Number(process.env.HFI_REGEX_PAIRS ?? 20_000);
/** Texts for each expression. */
const TEXTS = 50;

/** Texts are told by the assertion; to make them smaller takes longer than to read it. */
const QUICK = { endOnFailure: true };

const utf8 = new TextEncoder();

/** Letters with more than one other case, or one far away. */
const FOLDING = [
  'k',
  'K',
  '\u212a',
  's',
  'S',
  'ſ',
  'σ',
  'ς',
  'Σ',
  'å',
  'Å',
  '\u212b',
  'µ',
  'μ',
  'ß',
  'ẞ',
  'i',
  'I',
  'İ',
  'ı',
  'ǆ',
  'ǅ',
  'ﬀ',
  'é',
];
const SIGNS = ['a', 'b', 'A', '_', '1', '-', ' ', '\n', '\t', '\0', '\x7f', '\x80', '日', '߿', 'ࠀ', '\uffff', '\u{10000}', '\u{10ffff}'];
/** Bytes that are no UTF-8: alone, too long, cut short. */
const BROKEN = [[0xff], [0x80], [0xc3], [0xc0, 0xaf], [0xf0, 0x9f, 0x98]];
/** Too long, a surrogate, beyond the last: RE2's `.` takes these all the same, to be smaller. */
const TAKEN_BY_RE2 = [
  [0xe0, 0x80, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
];

/** Those that are drawn most, so that they meet. */
const COMMON = ['a', 'b', 'k', '\n', '_', '-'];

const sign = fc.oneof(fc.constantFrom(...COMMON), fc.constantFrom(...FOLDING, ...SIGNS)).map((one) => [...utf8.encode(one)]);
const text = fc
  .array(fc.oneof({ weight: 12, arbitrary: sign }, { weight: 1, arbitrary: fc.constantFrom(...BROKEN) }), { maxLength: 7 })
  .map((pieces) => Uint8Array.from(pieces.flat()));
const texts = fc.array(text, { minLength: TEXTS, maxLength: TEXTS });

const CLASSES = [
  '.',
  '\\w',
  '\\W',
  '\\d',
  '\\D',
  '\\s',
  '\\S',
  '[ab]',
  '[^a]',
  '[a-kA]',
  '[^\\n]',
  '[[:alpha:]]',
  '[[:^word:]]',
  '[σ-ω]',
  '[^é]',
];
const UNICODE = [
  '\\p{Greek}',
  '\\P{Greek}',
  '\\pZ',
  '\\p{Lt}',
  '[\\p{Lo}a]',
  '[^\\p{Greek}k]',
  '\\x{212a}',
  '\\x{10ffff}',
  '\\x{e9}',
  '\\x00',
];
const ASSERTIONS = ['\\b', '\\B', '^', '$', '\\A', '\\z', '(?m:^)', '(?m:$)'];
const FLAGS = ['(?i)', '(?s)', '(?m)', '(?U)', '(?i:', '(?s:', '(?m:', '(?U:', '(?is:', '(?i-s:', '(?-i:', '(?:', '('];
const REPEATS = ['*', '+', '?', '{0,2}', '{2}', '{1,}', '{0}', '*?', '+?', '??', '{1,3}?'];

const literal = fc.constantFrom(...FOLDING, '1', ' ', '日', '\\Qa.b\\E', '\\.');
const common = fc.constantFrom(...COMMON.map((one) => (one === '\n' ? '\\n' : one)));
const atom = fc.oneof(
  common,
  common,
  common,
  literal,
  fc.constantFrom(...CLASSES),
  fc.constantFrom(...UNICODE),
  fc.constantFrom(...ASSERTIONS),
);
const flagged = (flag: string, inside: string): string => (flag.endsWith(')') ? `(?:${flag}${inside})` : `${flag}${inside})`);
const pattern = fc.letrec<{ one: string }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    atom,
    { weight: 3, arbitrary: fc.array(tie('one'), { minLength: 2, maxLength: 5 }).map((pieces) => pieces.join('')) },
    fc.tuple(tie('one'), tie('one')).map(([left, right]) => `(?:${left}|${right})`),
    fc.tuple(tie('one'), fc.constantFrom(...REPEATS)).map(([inside, often]) => `(?:${inside})${often}`),
    fc.tuple(fc.constantFrom(...FLAGS), tie('one')).map(([flag, inside]) => flagged(flag, inside)),
  ),
})).one;

/** What syntax is made of, in any order. */
const PIECES = [
  ...'()[]{}|*+?^$.\\-:=!<>,',
  ...'abk019éſ',
  '(?',
  '(?:',
  '(?i',
  '(?P<n>',
  '[^',
  '[:alpha:]',
  '\\p',
  '{L}',
  '\\Q',
  '\\E',
  '\\x',
  '{2',
  ',3}',
  '\\b',
  '\\z',
  '\\8',
];
const syntax = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 9 }).map((pieces) => pieces.join(''));

/** Undefined when it is refused as too large, as some that are drawn are. */
function compiled(one: string, ignoreCase = false): Dfa | undefined {
  try {
    return compileRegex(one, { ignoreCase });
  } catch (error) {
    if (error instanceof RegexProblem && error.message.startsWith('regex too large')) return undefined;
    throw error;
  }
}

/** Compares all texts. @returns how many match */
function compare(one: string, ignoreCase: boolean, dfa: Dfa, given: readonly Uint8Array[]): number {
  const wanted = wholeMatches(one, given, ignoreCase);
  given.forEach((bytes, i) => {
    assert.equal(
      accepts(dfa, bytes),
      wanted[i],
      `${ignoreCase ? '(?i)' : ''}${one} and ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`,
    );
  });
  return wanted.filter(Boolean).length;
}

describe('regular expressions and RE2', function () {
  this.timeout(60_000 + PAIRS);

  it(`match the same of ${PAIRS} drawn pairs, with and without their case, in UTF-8 and not`, () => {
    let [matched, pairs] = [0, 0];
    fc.assert(
      fc.property(pattern, fc.boolean(), texts, (one, ignoreCase, given) => {
        const dfa = compiled(one, ignoreCase);
        if (dfa === undefined) return;
        pairs += given.length;
        matched += compare(one, ignoreCase, dfa, [new Uint8Array(), ...given]);
      }),
      { numRuns: Math.ceil(PAIRS / TEXTS), ...QUICK },
    );
    assert.ok(matched > PAIRS / 40 && pairs > PAIRS * 0.9, `${matched} matches of ${pairs} pairs: the drawing is too thin`);
  });

  it(`are refused and taken alike: ${PAIRS / 10} drawn texts of syntax`, () => {
    let taken = 0;
    fc.assert(
      fc.property(syntax, texts, (one, given) => {
        const reason = refusal(one);
        let dfa: Dfa | undefined;
        let own: string | undefined;
        try {
          dfa = compiled(one);
        } catch (error) {
          assert.ok(error instanceof RegexProblem);
          own = error.message;
        }
        assert.equal(own !== undefined, reason !== undefined, `${one}: ${own ?? 'taken'}, by RE2 ${reason ?? 'taken'}`);
        // What `\\Q` leaves open would go on behind it.
        if (dfa === undefined || one.includes('\\Q')) return;
        taken++;
        compare(one, false, dfa, given.slice(0, 10));
      }),
      { numRuns: PAIRS / 10, ...QUICK },
    );
    assert.ok(taken > PAIRS / 100, `only ${taken} were taken`);
  });

  it('match nothing that is no UTF-8', () => {
    const around = fc
      .tuple(text, fc.constantFrom(...BROKEN, ...TAKEN_BY_RE2), text)
      .map((pieces) => Uint8Array.from(pieces.flatMap((one) => [...one])));
    fc.assert(
      fc.property(
        fc.oneof(pattern, fc.constantFrom('(?s).*', '.*', '[^a]*', '\\PL*', '(?s:.|\\n){0,9}')),
        fc.array(around, { minLength: 20 }),
        (one, given) => {
          const dfa = compiled(one);
          const isUtf8 = (bytes: Uint8Array): boolean => Buffer.from(Buffer.from(bytes).toString()).equals(bytes);
          for (const bytes of given)
            assert.ok(dfa === undefined || isUtf8(bytes) || !accepts(dfa, bytes), `${one} and ${Buffer.from(bytes).toString('hex')}`);
        },
      ),
      { numRuns: PAIRS / 100, ...QUICK },
    );
  });
});
