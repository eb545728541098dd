/** Keys and ranges of keys, as etcd compares them. */

/** Bytes as a string that sorts as they do. */
export function text(key: Buffer | undefined): string {
  return Buffer.from(key ?? '').toString('latin1');
}

/** The first key of a range, and the one behind its last. */
export function bounds({ key, range_end }: { readonly key?: Buffer; readonly range_end?: Buffer }): [string, string] {
  const from = text(key);
  return [from, range_end === undefined ? `${from}\0` : text(range_end)];
}

/** The first index whose key isn't smaller. */
export function lowerBound(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
