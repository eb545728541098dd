import { BEGIN_LINE, BEGIN_TEXT, END_LINE, END_TEXT, NO_WORD_BOUNDARY, type Node, type Program, WORD_BOUNDARY } from './program.ts';
import type { Work } from './work.ts';

/** An automaton over classes of bytes, before it is made small. State 0 leads nowhere. */
export interface Automaton {
  readonly classes: Uint8Array;
  readonly classCount: number;
  readonly stateCount: number;
  readonly start: number;
  readonly next: Uint16Array;
  readonly accepting: Uint8Array;
}

/** Nodes looked at for a state, for all classes of bytes together, on average of `most` states: how long building takes. `\pL` needs 50. */
const NODES_A_STATE = 256;

const NEWLINE = 10;
const END_OF_TEXT = -1;

/** What stands in front of a state's next byte, as far as an assertion of the program asks. */
const AT_BEGIN = 1;
const AFTER_NEWLINE = 2;
const AFTER_WORD = 4;

/**
 * Builds the subsets (Rabin, Scott: Finite automata and their decision problems, 1959). An assertion looks at the byte in front,
 * which the state remembers, and at the byte behind, so it is resolved when that one comes.
 *
 * @param work is added to
 * @returns undefined when there are more than `most` states, or too many nodes in them
 */
export function determinize(program: Program, most: number, work: Work): Automaton | undefined {
  const { classes, samples } = byteClasses(program);
  const classCount = samples.length;
  const ways = waysOf(program.nodes, samples);
  const numbers = new Map<string, number>([['', 0]]);
  const sets: { readonly nodes: readonly number[]; readonly before: number }[] = [{ nodes: [], before: 0 }];
  const next: number[] = new Array(classCount).fill(0);
  const accepting = [0];
  const numberOf = (nodes: readonly number[], before: number): number => {
    if (nodes.length === 0) return 0;
    const key = `${before} ${nodes.join(' ')}`;
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, sets.length);
    return sets.push({ nodes, before }) - 1;
  };
  const start = numberOf([program.start], beforeBegin(program));
  const reached: number[][] = samples.map(() => []);
  let visited = 0;
  for (let state = 1; state < sets.length; state++) {
    if (sets.length > most || visited > most * NODES_A_STATE) return undefined;
    const { nodes, before } = sets[state] ?? { nodes: [], before: 0 };
    const flagsAt = (byte: number): number => (program.assertions === 0 ? 0 : holding(before, byte));
    const atEnd = closure(program.nodes, nodes, flagsAt(END_OF_TEXT));
    accepting.push(atEnd.some((node) => program.nodes[node]?.kind === 'match') ? 1 : 0);
    const flags = samples.map(flagsAt);
    work.done += classCount;
    for (const holds of new Set(flags)) {
      const from = closure(program.nodes, nodes, holds);
      visited += from.length;
      work.done += from.length;
      for (const node of from) {
        for (const { first, last, after } of ways[node] ?? []) {
          for (let one = first; one <= last; one++) if (flags[one] === holds) reached[one]?.push(after);
        }
      }
    }
    samples.forEach((byte, one) => {
      const to = reached[one] ?? [];
      next.push(to.length === 0 ? 0 : numberOf(risingOnce(to), beforeNext(program, byte)));
      reached[one] = [];
    });
  }
  if (sets.length > most) return undefined;
  return { classes, classCount, stateCount: sets.length, start, next: Uint16Array.from(next), accepting: Uint8Array.from(accepting) };
}

function risingOnce(numbers: number[]): readonly number[] {
  if (numbers.length === 1) return numbers;
  numbers.sort((a, b) => a - b);
  return numbers.filter((number, i) => number !== numbers[i - 1]);
}

/** Nodes that take a byte or match, reached without a byte under these assertions; rising. */
function closure(nodes: readonly Node[], from: readonly number[], flags: number): readonly number[] {
  const seen = new Set<number>();
  const reached: number[] = [];
  const waiting = [...from];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (seen.has(number)) continue;
    seen.add(number);
    const node = nodes[number];
    if (node?.kind === 'split') waiting.push(...node.to);
    else if (node?.kind === 'assert') {
      if ((node.flags & flags) === node.flags) waiting.push(node.to);
    } else reached.push(number);
  }
  return reached.sort((a, b) => a - b);
}

/** The way from a node to the one after it, by these classes of bytes. */
interface Way {
  readonly first: number;
  readonly last: number;
  readonly after: number;
}

/** Of each node its ways by classes, none of one that takes no byte. */
function waysOf(nodes: readonly Node[], samples: readonly number[]): readonly (readonly Way[])[] {
  return nodes.map((node) =>
    node.kind !== 'bytes'
      ? []
      : node.edges.map(({ from, to, after }) => ({ first: lowerBound(samples, from), last: lowerBound(samples, to + 1) - 1, after })),
  );
}

/** Index of the first number that is not below `value`, among rising ones. */
function lowerBound(numbers: readonly number[], value: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function beforeBegin({ assertions }: Program): number {
  return assertions === 0 ? 0 : AT_BEGIN;
}

function beforeNext({ assertions }: Program, byte: number): number {
  const line = (assertions & BEGIN_LINE) !== 0 && byte === NEWLINE ? AFTER_NEWLINE : 0;
  const word = (assertions & (WORD_BOUNDARY | NO_WORD_BOUNDARY)) !== 0 && isWord(byte) ? AFTER_WORD : 0;
  return line | word;
}

/** The assertions that hold between what is in front and a byte. */
function holding(before: number, byte: number): number {
  const begin = (before & AT_BEGIN) !== 0;
  const end = byte === END_OF_TEXT;
  const boundary = ((before & AFTER_WORD) !== 0) !== isWord(byte);
  return (
    (begin ? BEGIN_TEXT | BEGIN_LINE : 0) |
    ((before & AFTER_NEWLINE) !== 0 ? BEGIN_LINE : 0) |
    (end ? END_TEXT | END_LINE : 0) |
    (byte === NEWLINE ? END_LINE : 0) |
    (boundary ? WORD_BOUNDARY : NO_WORD_BOUNDARY)
  );
}

/** ASCII's letters, digits and `_`, as in RE2. */
function isWord(byte: number): boolean {
  return (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || byte === 95 || (byte >= 97 && byte <= 122);
}

/** Bytes between which nothing in the program tells are of one class; with one byte of each class. */
function byteClasses({ nodes, assertions }: Program): { classes: Uint8Array; samples: number[] } {
  const begins = new Uint8Array(257);
  for (const node of nodes) {
    if (node.kind !== 'bytes') continue;
    for (const { from, to } of node.edges) {
      begins[from] = 1;
      begins[to + 1] = 1;
    }
  }
  const lines = (assertions & (BEGIN_LINE | END_LINE)) !== 0;
  const words = (assertions & (WORD_BOUNDARY | NO_WORD_BOUNDARY)) !== 0;
  const kind = (byte: number): number => (lines && byte === NEWLINE ? 2 : 0) + (words && isWord(byte) ? 1 : 0);
  const classes = new Uint8Array(256);
  const samples = [0];
  for (let byte = 1; byte < 256; byte++) {
    if (begins[byte] === 1 || kind(byte) !== kind(byte - 1)) samples.push(byte);
    classes[byte] = samples.length - 1;
  }
  return { classes, samples };
}
