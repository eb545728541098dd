import type { IRequestOp } from 'etcd3';
import type { RunResult } from '../counts/shown.ts';
import type { Runtime } from '../runtime.ts';
import { asked } from './asked.ts';
import { type AuditOptions, AuditWriter } from './audit-writer.ts';
import type { EtcdConnection } from './client.ts';
import { ENDED, ENDED_WAITING, endOf, timedId, timeOfId } from './keys.ts';
import type { Origin, Page, PastRun, StoredPolicy, WrittenEnd } from './store.ts';
import { decode, encode, type PastRunValue, readPastRun } from './value.ts';

/** How many runs a filter looks through for one page, and how many are read at a time. */
const LOOKED_THROUGH = 1000;
const CHUNK = 100;
/** How many runs that wait for their result are read at a time. */
const WAITING = 100;

export interface HistoryQuery {
  readonly limit: number;
  /** `nextCursor` of the page before; empty for the first. */
  readonly cursor: string;
  readonly policy?: string | undefined;
}

/** A run in the history of which it is not written yet what it did in all. */
export interface WaitingRun {
  readonly id: string;
  readonly policy: string;
  /** Milliseconds since the epoch. */
  readonly appliedAt: number;
  readonly endedAt: number;
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
  /** Runs that wait for their result, the latest end first; some of them when they are many. */
  waiting(before: number): Promise<readonly WaitingRun[]>;
  /**
   * Writes what a run did in all, into the history and the audit, if nobody did yet.
   *
   * @param result null when nobody knows it any more
   */
  settle(run: WaitingRun, result: RunResult | null, origin: Origin): Promise<void>;
}

/** The history in etcd. Runs are put into it by `EtcdStore`, in the transaction that ends them. */
export class EtcdHistory implements History {
  readonly #client: EtcdConnection;

  readonly #audit: AuditWriter;
  readonly #audited: () => void;

  constructor(client: EtcdConnection, { random }: Pick<Runtime, 'random'>, { auditKey, audited = () => undefined }: AuditOptions = {}) {
    this.#client = client;
    this.#audit = new AuditWriter(random, auditKey);
    this.#audited = audited;
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

  async waiting(before: number): Promise<readonly WaitingRun[]> {
    const key = Buffer.from(`${ENDED_WAITING}${timedId(before, '')}`);
    const found = await asked(this.#client.keys.range({ key, range_end: Buffer.from(endOf(ENDED_WAITING)), limit: WAITING }));
    return found.kvs.map((pair) => {
      const id = pair.key.toString('utf8').slice(ENDED_WAITING.length);
      return { ...(decode(pair.value) as WaitingValue), id, endedAt: timeOfId(id) };
    });
  }

  async settle({ id, policy, appliedAt }: WaitingRun, result: RunResult | null, origin: Origin): Promise<void> {
    const [key, waiting] = [Buffer.from(`${ENDED}${id}`), Buffer.from(`${ENDED_WAITING}${id}`)];
    const { kvs } = await asked(this.#client.keys.range({ key }));
    const [pair] = kvs;
    const done: IRequestOp = { request_delete_range: { key: waiting } };
    if (pair === undefined || result === null) {
      await asked(this.#client.keys.txn({ success: [done] }));
      return;
    }
    const { id: _, ...run } = readPastRun(pair);
    const { verdict, total } = result;
    const entry = this.#audit.ops({
      ...origin,
      action: 'result',
      policy,
      result: { appliedAt: new Date(appliedAt).toISOString(), verdict, matched: total.matched, injected: total.injected },
      // Whose it is is seen by the selector.
      before: run.policy.spec,
      after: null,
    });
    const { succeeded } = await asked(
      this.#client.keys.txn({
        compare: [
          { key: waiting, target: 'Version', result: 'Greater', version: 0 },
          { key, target: 'Mod', result: 'Equal', mod_revision: Number(pair.mod_revision) },
        ],
        success: [{ request_put: { key, value: encode({ ...run, result }) } }, done, ...entry],
      }),
    );
    if (succeeded) this.#audited();
  }

  async #remove(key: Buffer, range_end: Buffer): Promise<void> {
    await asked(this.#client.keys.deleteRange({ key, range_end }));
  }
}

type WaitingValue = Pick<WaitingRun, 'policy' | 'appliedAt'>;

/** What puts a run into the history, where it waits for its result. */
export function intoHistory(run: StoredPolicy, ended: WrittenEnd): IRequestOp[] {
  const { policy, createdAt, appliedAt, chosen, revision } = run;
  const { name } = policy.metadata;
  const id = timedId(ended.at, `${name}-${revision}`);
  const value: PastRunValue = { policy, createdAt, appliedAt, ...(chosen === undefined ? {} : { chosen }), revision, ended, result: null };
  const waiting: WaitingValue = { policy: name, appliedAt };
  return [
    { request_put: { key: Buffer.from(`${ENDED}${id}`), value: encode(value) } },
    { request_put: { key: Buffer.from(`${ENDED_WAITING}${id}`), value: encode(waiting) } },
  ];
}
