import type { IKeyValue, IRangeRequest, IRequestOp } from 'etcd3';
import { contentHash } from '../../audit/content.ts';
import { type Anchor, NO_SEAL, type Seal } from '../../audit/seal.ts';
import { asked } from './asked.ts';
import type { AuditLog, AuditQuery, CountedHead, Oldest, SealPage, Unsealed } from './audit-log.ts';
import { shown, type WaitingValue } from './audit-writer.ts';
import type { EtcdConnection } from './client.ts';
import { AUDIT, AUDIT_ANCHOR, AUDIT_HEAD, AUDIT_SEALS, AUDIT_WAITING, endOf, sealKey, timedId, timeOfId } from './keys.ts';
import type { AuditEntry, Page } from './store.ts';
import { decode, encode, readAudit } from './value.ts';

/** How many entries a filter looks through for one page. */
const LOOKED_THROUGH = 2000;
/** Entries that are read at a time. */
const CHUNK = 200;
/** etcd takes 128 operations in one transaction (`--max-txn-ops`). */
export const MOST_IN_TRANSACTION = 100;

const HEAD = Buffer.from(AUDIT_HEAD);
const ANCHOR = Buffer.from(AUDIT_ANCHOR);

/** The audit in etcd. Entries are written by `AuditWriter`, in the transaction of what they tell of. */
export class EtcdAuditLog implements AuditLog {
  readonly #client: EtcdConnection;

  constructor(client: EtcdConnection) {
    this.#client = client;
  }

  list(query: AuditQuery): Promise<Page<AuditEntry>> {
    return query.order === 'newest' ? this.#newest(query) : this.#oldest(query);
  }

  async #newest(query: AuditQuery): Promise<Page<AuditEntry>> {
    const filtered = [query.policy, query.actor, query.action, query.seen].some((filter) => filter !== undefined);
    // Ids of later entries come first, and a time's own come before those of the millisecond before.
    const from = query.until === undefined ? '' : timedId(query.until - 1, '');
    const to = Buffer.from(query.since === undefined ? endOf(AUDIT) : `${AUDIT}${timedId(query.since - 1, '')}`);
    const items: AuditEntry[] = [];
    let after = query.cursor;
    let looked = 0;
    for (;;) {
      const limit = filtered ? CHUNK : query.limit - items.length;
      const key = Buffer.from(after === '' ? `${AUDIT}${from}` : `${AUDIT}${after}\0`);
      const found = await asked(this.#client.keys.range({ key, range_end: to, limit }));
      for (const pair of found.kvs) {
        const entry = readAudit(pair);
        after = entry.id;
        looked++;
        if (fits(entry, query)) items.push(entry);
        if (items.length === query.limit) break;
      }
      const more = found.more || found.kvs.at(-1)?.key.toString('utf8') !== `${AUDIT}${after}`;
      if (found.kvs.length === 0 || !more) return { items, nextCursor: null };
      if (items.length === query.limit || looked >= LOOKED_THROUGH) return { items, nextCursor: after };
    }
  }

  /** Goes along the seals: only they know the order in which entries were written. What waits for a seal comes last. */
  async #oldest(query: AuditQuery): Promise<Page<AuditEntry>> {
    let [after = 0, skip = 0] = query.cursor === '' ? [] : query.cursor.split(':').map(Number);
    const items: AuditEntry[] = [];
    for (let looked = 0; looked < LOOKED_THROUGH; ) {
      const { items: seals, waiting, nextCursor } = await this.seals(10, after);
      for (const { sequence, entries } of seals) {
        const ids = entries.map(({ id }) => id);
        looked += ids.length;
        const at = await this.#take(ids, skip, query, items);
        if (at < ids.length) return { items, nextCursor: `${after}:${at}` };
        [after, skip] = [sequence, 0];
      }
      if (nextCursor !== null) continue;
      const at = await this.#take(waiting, skip, query, items);
      return { items, nextCursor: at < waiting.length ? `${after}:${at}` : null };
    }
    return { items, nextCursor: `${after}:${skip}` };
  }

  /** Adds those of the entries that fit, until there are enough. Tells how many ids were used up. */
  async #take(ids: readonly string[], skip: number, query: AuditQuery, items: AuditEntry[]): Promise<number> {
    const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = query;
    for (let at = skip; at < ids.length; ) {
      if (items.length === query.limit) return at;
      const wanted = ids.slice(at, at + Math.min(MOST_IN_TRANSACTION, query.limit - items.length));
      const inTime = wanted.filter((id) => timeOfId(id) >= since && timeOfId(id) < until);
      for (const pairs of await this.#ranges(inTime.map((id) => ({ key: Buffer.from(`${AUDIT}${id}`) })))) {
        items.push(...pairs.map(readAudit).filter((entry) => fits(entry, query)));
      }
      at += wanted.length;
    }
    return ids.length;
  }

  async read(ids: readonly string[]): Promise<readonly AuditEntry[]> {
    const found: AuditEntry[] = [];
    for (let at = 0; at < ids.length; at += MOST_IN_TRANSACTION) {
      const keys = ids.slice(at, at + MOST_IN_TRANSACTION).map((id) => ({ key: Buffer.from(`${AUDIT}${id}`) }));
      for (const pairs of await this.#ranges(keys)) found.push(...pairs.map(readAudit));
    }
    return found;
  }

  async seals(limit: number, after: number): Promise<SealPage> {
    const [seals = [], [head] = [], [anchor] = [], waiting = []] = await this.#ranges([
      { key: sealKey(after + 1), range_end: Buffer.from(endOf(AUDIT_SEALS)), limit: limit + 1 },
      { key: HEAD },
      { key: ANCHOR },
      { key: Buffer.from(AUDIT_WAITING), range_end: Buffer.from(endOf(AUDIT_WAITING)), keys_only: true },
    ]);
    const items = seals.slice(0, limit).map((pair) => decode(pair.value) as Seal);
    const last = items.at(-1);
    return {
      items,
      nextCursor: seals.length > limit && last !== undefined ? last.sequence : null,
      head: readHead(head),
      anchor: anchor === undefined ? undefined : (decode(anchor.value) as Anchor),
      waiting: waiting.sort(byRevision).map(waitingId),
    };
  }

  async unsealed(): Promise<Unsealed> {
    const [[head] = [], waiting = []] = await this.#ranges([
      { key: HEAD },
      { key: Buffer.from(AUDIT_WAITING), range_end: Buffer.from(endOf(AUDIT_WAITING)) },
    ]);
    const newest = readHead(head);
    const entries = waiting.map((pair) => {
      const { hash, signature, adopted: revision } = decode(pair.value) as WaitingValue;
      // Nobody but an intruder adopts once the chain has begun.
      const adopted = revision !== undefined && !newest.begun;
      const sealed = { id: waitingId(pair), resourceVersion: String(adopted ? revision : pair.mod_revision), hash, adopted };
      return signature === undefined ? sealed : { ...sealed, signature };
    });
    entries.sort(
      (a, b) => Number(b.adopted) - Number(a.adopted) || Number(a.resourceVersion) - Number(b.resourceVersion) || (a.id < b.id ? -1 : 1),
    );
    return { head: newest, headRevision: Number(head?.mod_revision ?? 0), entries };
  }

  async add(seal: Seal, after: Unsealed): Promise<boolean> {
    const { sequence, hash, adopted, entries } = seal;
    const head: CountedHead = { sequence, hash, entries: after.head.entries + entries.length, begun: !adopted };
    const result = await asked(
      this.#client.keys.txn({
        compare: [{ key: HEAD, target: 'Mod', result: 'Equal', mod_revision: after.headRevision }],
        success: [
          { request_put: { key: sealKey(seal.sequence), value: encode(seal) } },
          { request_put: { key: HEAD, value: encode(head) } },
          ...seal.entries.map(({ id }) => ({ request_delete_range: { key: Buffer.from(`${AUDIT_WAITING}${id}`) } })),
        ],
      }),
    );
    return result.succeeded;
  }

  async oldest(): Promise<Oldest> {
    const [[seal] = [], [head] = [], [anchor] = []] = await this.#ranges([
      { key: Buffer.from(AUDIT_SEALS), range_end: Buffer.from(endOf(AUDIT_SEALS)), limit: 1 },
      { key: HEAD },
      { key: ANCHOR },
    ]);
    return {
      seal: seal === undefined ? undefined : (decode(seal.value) as Seal),
      head: readHead(head),
      anchor: anchor === undefined ? undefined : (decode(anchor.value) as Anchor),
      anchorRevision: Number(anchor?.mod_revision ?? 0),
    };
  }

  async forget({ seal, anchorRevision }: Oldest & { readonly seal: Seal }, anchor: Anchor): Promise<boolean> {
    const result = await asked(
      this.#client.keys.txn({
        compare: [{ key: ANCHOR, target: 'Mod', result: 'Equal', mod_revision: anchorRevision }],
        success: [
          { request_put: { key: ANCHOR, value: encode(anchor) } },
          { request_delete_range: { key: sealKey(seal.sequence) } },
          ...seal.entries.map(({ id }) => ({ request_delete_range: { key: Buffer.from(`${AUDIT}${id}`) } })),
        ],
      }),
    );
    return result.succeeded;
  }

  async begin(): Promise<void> {
    const [[head] = []] = await this.#ranges([{ key: HEAD }]);
    if (head !== undefined) return;
    const older = await this.#fromBefore();
    // Oldest first; again and again the same when two replicas do it, and no more once the chain has begun.
    for (let at = 0; at < older.length; at += MOST_IN_TRANSACTION) {
      if (!(await this.#whileThereIsNoHead(older.slice(at, at + MOST_IN_TRANSACTION)))) return;
    }
    await this.#whileThereIsNoHead([{ request_put: { key: HEAD, value: encode(NO_HEAD) } }]);
  }

  /** What puts the entries that don't wait for a seal into line. */
  async #fromBefore(): Promise<IRequestOp[]> {
    const waiting = new Set((await this.seals(1, 0)).waiting);
    const puts: IRequestOp[] = [];
    let key = Buffer.from(AUDIT);
    for (;;) {
      const found = await asked(this.#client.keys.range({ key, range_end: Buffer.from(endOf(AUDIT)), limit: CHUNK }));
      for (const pair of found.kvs) {
        const { id, revision, ...entry } = readAudit(pair);
        if (waiting.has(id)) continue;
        const value: WaitingValue = { hash: contentHash(shown(entry)), adopted: String(revision) };
        puts.push({ request_put: { key: Buffer.from(`${AUDIT_WAITING}${id}`), value: encode(value) } });
      }
      const last = found.kvs.at(-1);
      if (!found.more || last === undefined) return puts.reverse();
      key = Buffer.concat([last.key, Buffer.from('\0')]);
    }
  }

  async #whileThereIsNoHead(success: IRequestOp[]): Promise<boolean> {
    const compare = [{ key: HEAD, target: 'Version' as const, result: 'Equal' as const, version: 0 }];
    return (await asked(this.#client.keys.txn({ compare, success }))).succeeded;
  }

  /** Reads several ranges as of one moment. In no transaction: etcd 3.5.1 panics when who asked for one that only reads is gone before it is read. */
  async #ranges([first, ...others]: readonly IRangeRequest[]): Promise<IKeyValue[][]> {
    if (first === undefined) return [];
    const { kvs, header } = await asked(this.#client.keys.range(first));
    const rest = await Promise.all(others.map((range) => asked(this.#client.keys.range({ ...range, revision: header.revision }))));
    return [kvs, ...rest.map((found) => found.kvs)];
  }
}

function fits(entry: AuditEntry, { policy, actor, action, seen }: AuditQuery): boolean {
  if (policy !== undefined && entry.policy !== policy) return false;
  if (actor !== undefined && entry.actor.name !== actor) return false;
  if (action !== undefined && entry.action !== action) return false;
  return seen === undefined || seen(entry);
}

const NO_HEAD: CountedHead = { sequence: 0, hash: NO_SEAL, entries: 0, begun: false };

function readHead(pair: IKeyValue | undefined): CountedHead {
  return pair === undefined ? NO_HEAD : (decode(pair.value) as CountedHead);
}

function waitingId(pair: IKeyValue): string {
  return pair.key.toString('utf8').slice(AUDIT_WAITING.length);
}

/** The order in which they were written; entries of one transaction by id. */
function byRevision(a: IKeyValue, b: IKeyValue): number {
  return Number(a.mod_revision) - Number(b.mod_revision) || Buffer.compare(a.key, b.key);
}
