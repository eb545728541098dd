import type { Dfa } from '../../policy/regex/compile-regex.ts';

/** No longer than a request's first steps through the trie are worth. */
const MOST_BYTES = 64;
/** No more than a rule is worth in the lists. */
const MOST_PREFIXES = 16;

interface Way {
  readonly prefix: readonly number[];
  readonly state: number;
}

/**
 * Prefixes one of which every text begins with that an automaton accepts: as long as there are few ways on. Rules with regular
 * expressions are listed under them, so that a request runs only those that could match.
 *
 * @returns none of them a prefix of another; one empty prefix when there is nothing to go by
 */
export function requiredPrefixes({ classes, classCount, next, accepting, start }: Dfa): Uint8Array[] {
  const bytesOf = Array.from({ length: classCount }, (): number[] => []);
  classes.forEach((one, byte) => void bytesOf[one]?.push(byte));
  const onwards = ({ prefix, state }: Way): Way[] =>
    bytesOf.flatMap((bytes, one) => {
      const to = next[state * classCount + one] ?? 0;
      return to === 0 ? [] : bytes.map((byte) => ({ prefix: [...prefix, byte], state: to }));
    });
  const done: Way[] = [];
  let open: Way[] = [{ prefix: [], state: start }];
  while (open.length > 0) {
    // The shortest first: where it branches widely, it stays as it is and the others go on.
    open.sort((a, b) => a.prefix.length - b.prefix.length);
    const [way, ...others] = open;
    if (way === undefined) break;
    const ways = accepting[way.state] === 1 || way.prefix.length >= MOST_BYTES ? [] : onwards(way);
    const fits = ways.length > 0 && ways.length + others.length + done.length <= MOST_PREFIXES;
    if (fits) open = [...others, ...ways];
    else {
      done.push(way);
      open = others;
    }
  }
  return done.map(({ prefix }) => Uint8Array.from(prefix));
}
