/**
 * The number of single-character insertions, deletions, replacements and swaps of neighbours that make one text of the other
 * (the restricted Damerau-Levenshtein distance).
 */
export function editDistance(from: string, to: string): number {
  const a = [...from];
  const b = [...to];
  let beforePrevious: number[] = [];
  let previous = b.map((_, j) => j + 1);
  previous.unshift(0);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (beforePrevious[j - 2] ?? 0) + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** Longer words are never a typing error of a field's name; comparing them would only cost time. */
const LONGEST_WORD = 64;

/**
 * The option that `word` was probably meant to be: case, `-` and `_` don't count.
 *
 * @returns undefined when none is near: more than a third of the longer word would have to change
 */
export function nearest(word: string, options: readonly string[]): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_]/g, '');
  let found: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const option of options) {
    const distance = editDistance(plain(word), plain(option));
    const most = Math.max(1, Math.floor(Math.max(plain(word).length, plain(option).length) / 3));
    if (distance <= most && distance < least) {
      least = distance;
      found = option;
    }
  }
  return found;
}
