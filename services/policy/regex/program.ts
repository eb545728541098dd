import { RE2JS } from 're2js';
import { type Grouped, withAnyByteGroups } from './any-byte.ts';
import { withoutRepeatedNames } from './repeated-names.ts';
import { type ByteRange, utf8Ranges } from './utf8-ranges.ts';
import type { Work } from './work.ts';

/**
 * A regular expression as a program over bytes: what RE2's own compiler makes of it, with each step over a code point taken
 * apart into steps over the bytes of its UTF-8.
 */
export interface Program {
  readonly nodes: readonly Node[];
  readonly start: number;
  /** The empty-width assertions that are in it, as flags. */
  readonly assertions: number;
}

export interface Edge extends ByteRange {
  /** The node after the byte. */
  readonly after: number;
}

export type Node =
  /** Goes on at each of these, without a byte. */
  | { readonly kind: 'split'; readonly to: readonly number[] }
  /** The same, where all these assertions hold. */
  | { readonly kind: 'assert'; readonly flags: number; readonly to: number }
  /** Goes on by a byte. */
  | { readonly kind: 'bytes'; readonly edges: readonly Edge[] }
  | { readonly kind: 'match' };

/** Empty-width assertions, as RE2's compiler numbers them (re2/prog.h, `EmptyOp`). */
export const BEGIN_LINE = 1;
export const END_LINE = 2;
export const BEGIN_TEXT = 4;
export const END_TEXT = 8;
export const WORD_BOUNDARY = 16;
export const NO_WORD_BOUNDARY = 32;

/** What re2js's compiler makes; its instructions are those of Go's `regexp/syntax`. */
interface Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  readonly runes: ArrayLike<number>;
}

interface Compiled {
  readonly prog: { readonly inst: readonly Instruction[]; readonly start: number };
  /** Numbers of the named groups. */
  readonly namedGroups: Readonly<Record<string, number>>;
}

const ALT = 1;
const ALT_MATCH = 2;
const CAPTURE = 3;
const EMPTY_WIDTH = 4;
const FAIL = 5;
const MATCH = 6;
const NOP = 7;
const RUNE = 8;
const RUNE1 = 9;
const RUNE_ANY = 10;
const RUNE_ANY_NOT_NEWLINE = 11;

const FOLD_CASE = 1;
const LAST_RUNE = 0x10ffff;

/**
 * @param most edges over bytes
 * @param work is added to
 * @returns undefined when there are more
 * @throws RE2JSSyntaxException when it is no regular expression
 */
export function programOf(pattern: string, ignoreCase: boolean, most: number, work: Work): Program | undefined {
  const grouped = withAnyByteGroups(withoutRepeatedNames(pattern));
  const compiled = RE2JS.compile(grouped.pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0).re2() as unknown as Compiled;
  const { prog } = compiled;
  const nodes: Node[] = [];
  const tails = new Map<string, number>();
  let assertions = 0;
  let edgeCount = 0;
  // The instructions keep their numbers; the nodes between the bytes of a code point come behind them.
  const extra = prog.inst.length;
  const between: Node[] = [];
  const tail = (ranges: readonly ByteRange[], to: number): number => {
    const [first, ...rest] = ranges;
    if (first === undefined) return to;
    const key = `${to} ${ranges.map((range) => `${range.from}-${range.to}`).join(' ')}`;
    const known = tails.get(key);
    if (known !== undefined) return known;
    const edge = { ...first, after: tail(rest, to) };
    const number = extra + between.push({ kind: 'bytes', edges: [edge] }) - 1;
    tails.set(key, number);
    return number;
  };
  const anyByte = anyByteInstructions(compiled, grouped);
  for (const instruction of prog.inst) {
    const { op, out, arg } = instruction;
    if (op === ALT || op === ALT_MATCH) nodes.push({ kind: 'split', to: [out, arg] });
    else if (op === CAPTURE || op === NOP) nodes.push({ kind: 'split', to: [out] });
    else if (op === FAIL) nodes.push({ kind: 'split', to: [] });
    else if (op === MATCH) nodes.push({ kind: 'match' });
    else if (op === EMPTY_WIDTH) {
      assertions |= arg;
      nodes.push({ kind: 'assert', flags: arg, to: out });
    } else if (anyByte.has(instruction)) {
      nodes.push({ kind: 'bytes', edges: [{ from: 0, to: 255, after: out }] });
    } else {
      const sequences = runesOf(instruction).flatMap(([from, to]) => utf8Ranges(from, to));
      const edges = sequences.flatMap(([first, ...rest]) => (first === undefined ? [] : [{ ...first, after: tail(rest, out) }]));
      nodes.push({ kind: 'bytes', edges });
      edgeCount += edges.length;
      work.done += edges.length + 1;
      if (edgeCount + between.length > most) return undefined;
    }
  }
  return { nodes: [...nodes, ...between], start: prog.start, assertions };
}

/** The instructions that stand for any byte: what the groups made for them begin with. */
function anyByteInstructions({ prog, namedGroups }: Compiled, { isAnyByte }: Grouped): ReadonlySet<Instruction | undefined> {
  const groups = new Set(Object.keys(namedGroups).flatMap((name) => (isAnyByte(name) ? [namedGroups[name]] : [])));
  const begins = prog.inst.filter(({ op, arg }) => op === CAPTURE && arg % 2 === 0 && groups.has(arg / 2));
  return new Set(begins.map(({ out }) => prog.inst[out]));
}

/** The ranges of code points that an instruction takes. */
function runesOf({ op, arg, runes }: Instruction): [from: number, to: number][] {
  if (op === RUNE_ANY) return [[0, LAST_RUNE]];
  if (op === RUNE_ANY_NOT_NEWLINE) {
    return [
      [0, 9],
      [11, LAST_RUNE],
    ];
  }
  if (op !== RUNE && op !== RUNE1) throw new Error(`re2js has an instruction that is not known here: ${op}`);
  const all = Array.from(runes);
  const [only] = all;
  if (all.length === 1 && only !== undefined) return (arg & FOLD_CASE) === 0 ? [[only, only]] : folded(only);
  return all.flatMap((from, i) => (i % 2 === 0 ? [[from, all[i + 1] ?? from] as [number, number]] : []));
}

const orbits = new Map<number, [number, number][]>();

/** A letter in every case. Of a class re2js's compiler writes the cases out; the second letter, which has none, makes it one. */
function folded(rune: number): [number, number][] {
  const known = orbits.get(rune);
  if (known !== undefined) return known;
  const pattern = `(?i)[\\x{${rune.toString(16)}}\\x{10ffff}]`;
  const { prog } = RE2JS.compile(pattern, 0).re2() as unknown as Compiled;
  const runes = prog.inst.find(({ op }) => op === RUNE)?.runes ?? [];
  const all = Array.from(runes);
  const orbit = all.flatMap((from, i) => (i % 2 === 0 && from !== LAST_RUNE ? [[from, all[i + 1] ?? from] as [number, number]] : []));
  orbits.set(rune, orbit);
  return orbit;
}
