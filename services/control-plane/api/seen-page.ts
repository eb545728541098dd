import type { Page } from '../store/store.ts';

/** Read at once where much may be left out. */
const STEP = 500;

export interface Source<T, S> {
  readonly read: (limit: number, after: string) => Promise<Page<T>>;
  /** What of an item is shown; undefined when nothing is. */
  readonly show: (item: T) => S | undefined;
  /** Where reading goes on after it. */
  readonly key: (item: T) => string;
  /** After so many items that were looked at, the page is answered as far as it came. Missing = it is filled whatever it costs. */
  readonly most?: number;
}

/**
 * A page of what may be seen, though the store's pages have other things in between. Unless `most` cuts it short, its cursor is the
 * key of an item that was shown, so that it says nothing of the others.
 */
export async function seenPage<T, S>({ read, show, key, most }: Source<T, S>, limit: number, after: string): Promise<Page<S>> {
  const items: S[] = [];
  let last = after;
  let looked = 0;
  for (let from: string | null = after; from !== null; ) {
    const page: Page<T> = await read(STEP, from);
    for (const item of page.items) {
      const shown = show(item);
      looked++;
      if (shown === undefined) continue;
      if (items.length === limit) return { items, nextCursor: last };
      items.push(shown);
      last = key(item);
    }
    from = page.nextCursor;
    if (most !== undefined && looked >= most) return { items, nextCursor: from };
  }
  return { items, nextCursor: null };
}
