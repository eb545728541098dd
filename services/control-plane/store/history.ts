import { asked } from './asked.ts';
import type { EtcdClient } from './client.ts';
import { ENDED, endOf, timedId } from './keys.ts';
import type { Page, PastRun } from './store.ts';
import { readPastRun } from './value.ts';

/** How many runs a filter looks through for one page, and how many are read at a time. */
const LOOKED_THROUGH = 1000;
const CHUNK = 100;

export interface HistoryQuery {
  readonly limit: number;
  /** `nextCursor` of the page before; empty for the first. */
  readonly cursor: string;
  readonly policy?: string | undefined;
}

/** What a history is read and kept with. */
export interface History {
  /** Runs that ended, the latest end first. With a filter a page can be short, or empty, and not the last. */
  list(query: HistoryQuery): Promise<Page<PastRun>>;
  /**
   * Removes what is too old or too much. Several replicas may do it at once.
   *
   * @param before runs that ended before this go, in milliseconds since the epoch; undefined keeps them
   * @param most how many stay; 0 = all
   */
  trim(before: number | undefined, most: number): Promise<void>;
}

/** The history in etcd. Runs are put into it by `EtcdStore`, in the transaction that ends them. */
export class EtcdHistory implements History {
  readonly #client: EtcdClient;

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  async list({ limit, cursor, policy }: HistoryQuery): Promise<Page<PastRun>> {
    const items: PastRun[] = [];
    let after = cursor;
    for (let looked = 0; ; ) {
      const key = Buffer.from(after === '' ? ENDED : `${ENDED}${after}\0`);
      const found = await asked(
        this.#client.keys.range({ key, range_end: Buffer.from(endOf(ENDED)), limit: policy === undefined ? limit : CHUNK }),
      );
      for (const pair of found.kvs) {
        const run = readPastRun(pair);
        after = run.id;
        looked++;
        if (policy === undefined || run.policy.metadata.name === policy) items.push(run);
        if (items.length === limit) break;
      }
      const more = found.more || found.kvs.at(-1)?.key.toString('utf8') !== `${ENDED}${after}`;
      if (found.kvs.length === 0 || !more) return { items, nextCursor: null };
      if (items.length === limit || looked >= LOOKED_THROUGH) return { items, nextCursor: after };
    }
  }

  async trim(before: number | undefined, most: number): Promise<void> {
    const end = Buffer.from(endOf(ENDED));
    if (before !== undefined) await this.#remove(Buffer.from(`${ENDED}${timedId(before - 1, '')}`), end);
    if (most === 0) return;
    const key = Buffer.from(ENDED);
    const { count } = await asked(this.#client.keys.range({ key, range_end: end, count_only: true }));
    if (Number(count) <= most) return;
    const kept = await asked(this.#client.keys.range({ key, range_end: end, limit: most + 1, keys_only: true }));
    const first = kept.kvs[most];
    if (first !== undefined) await this.#remove(first.key, end);
  }

  async #remove(key: Buffer, range_end: Buffer): Promise<void> {
    await asked(this.#client.keys.deleteRange({ key, range_end }));
  }
}
