/** A value that rules are listed under. */
export interface TrieEntry {
  readonly value: Uint8Array;
  readonly exact: readonly number[];
  readonly prefix: readonly number[];
}

/** A node of the radix trie, in breadth-first order: its children lie side by side, behind it. */
export interface TrieNode {
  readonly label: Uint8Array;
  readonly exact: readonly number[];
  readonly prefix: readonly number[];
  readonly firstChild: number;
  readonly firstBytes: readonly number[];
}

const NONE: readonly number[] = [];

interface Span {
  readonly from: number;
  readonly to: number;
  /** How many bytes lead to the parent. */
  readonly depth: number;
}

/**
 * Builds a radix trie breadth first.
 *
 * @param entries with distinct values, in any order
 * @returns the nodes; the first is the root, with an empty label
 */
export function buildTrie(entries: readonly TrieEntry[]): TrieNode[] {
  const sorted = [...entries].sort((a, b) => Buffer.compare(a.value, b.value));
  const queue: Span[] = [{ from: 0, to: sorted.length, depth: 0 }];
  const nodes: TrieNode[] = [];
  for (let i = 0; i < queue.length; i++) {
    const span = queue[i];
    if (span === undefined) break;
    const reach = i === 0 ? 0 : sharedLength(sorted, span);
    const first = sorted[span.from];
    const ends = first !== undefined && first.value.length === reach;
    const firstChild = queue.length;
    const firstBytes: number[] = [];
    for (let from = ends ? span.from + 1 : span.from; from < span.to; ) {
      const byte = sorted[from]?.value[reach] ?? 0;
      let to = from + 1;
      while (to < span.to && sorted[to]?.value[reach] === byte) to++;
      firstBytes.push(byte);
      queue.push({ from, to, depth: reach });
      from = to;
    }
    nodes.push({
      label: first?.value.subarray(span.depth, reach) ?? new Uint8Array(),
      exact: ends ? first.exact : NONE,
      prefix: ends ? first.prefix : NONE,
      firstChild,
      firstBytes,
    });
  }
  return nodes;
}

/** How many leading bytes all values of a span have in common; sorted, so the first and the last tell. */
function sharedLength(sorted: readonly TrieEntry[], span: Span): number {
  const first = sorted[span.from]?.value ?? new Uint8Array();
  const last = sorted[span.to - 1]?.value ?? first;
  let length = span.depth;
  while (length < first.length && length < last.length && first[length] === last[length]) length++;
  return length;
}
