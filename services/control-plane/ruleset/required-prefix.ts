import type { Dfa } from '../../policy/regex/compile-regex.ts';

/** No longer than a request's first steps through the trie are worth. */
const MOST = 64;

/**
 * The bytes with which every text begins that an automaton accepts: as long as there is one way on. Rules with regular
 * expressions are listed under it, so that a request runs only those that could match.
 */
export function requiredPrefix({ classes, classCount, next, accepting, start }: Dfa): Uint8Array {
  const bytesOf = Array.from({ length: classCount }, (): number[] => []);
  classes.forEach((one, byte) => void bytesOf[one]?.push(byte));
  const prefix: number[] = [];
  let state = start;
  while (prefix.length < MOST && accepting[state] === 0) {
    const ways = bytesOf.flatMap((bytes, one) => (next[state * classCount + one] === 0 ? [] : [{ one, bytes }]));
    const [way] = ways;
    const [byte] = way?.bytes ?? [];
    if (ways.length !== 1 || way?.bytes.length !== 1 || byte === undefined) break;
    prefix.push(byte);
    state = next[state * classCount + way.one] ?? 0;
  }
  return Uint8Array.from(prefix);
}
