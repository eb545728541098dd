import type {
  ICompare,
  IDeleteRangeRequest,
  IKeyValue,
  IPutRequest,
  IRangeRequest,
  IRangeResponse,
  IRequestOp,
  IResponseHeader,
  ITxnRequest,
  IWatchCreateRequest,
  IWatchResponse,
} from 'etcd3';
import { EtcdLeases } from './etcd-leases.ts';
import { bounds, lowerBound, text } from './etcd-range.ts';

/**
 * A model of etcd: what of it the control plane uses, and what a restart and a compaction do to it. `etcd-model.test.ts` runs the same
 * script on the real one.
 */

/** One change of one key, as history has it. */
export interface Event {
  readonly revision: number;
  readonly type: 'PUT' | 'DELETE';
  readonly kv: IKeyValue;
}

export interface Watcher {
  readonly from: string;
  readonly to: string;
  readonly tell: (response: IWatchResponse) => void;
}

export class EtcdModel {
  revision = 1;
  compacted = 0;
  term = 2;
  readonly history: Event[] = [];
  /** Told of each change when it is made. */
  changed: (event: Event) => void = () => undefined;
  readonly #pairs = new Map<string, IKeyValue>();
  #sorted: string[] | undefined = [];
  readonly #leases: EtcdLeases;
  readonly #watchers = new Set<Watcher>();

  /** @param now in milliseconds */
  constructor(now: () => number) {
    this.#leases = new EtcdLeases(now);
  }

  get header(): IResponseHeader {
    return { cluster_id: '1', member_id: '1', revision: String(this.revision), raft_term: String(this.term) };
  }

  range(request: IRangeRequest): IRangeResponse {
    const at = Number(request.revision ?? 0);
    if (at > this.revision) throw new Error('etcdserver: mvcc: required revision is a future revision');
    if (at > 0 && at < this.compacted) throw new Error('etcdserver: mvcc: required revision has been compacted');
    const pairs = at === 0 || at === this.revision ? this.#pairs : this.#pairsAt(at);
    const sorted = pairs === this.#pairs ? this.#keys : [...pairs.keys()].sort();
    const [from, to] = bounds(request);
    const found: IKeyValue[] = [];
    for (let i = lowerBound(sorted, from); i < sorted.length; i++) {
      const key = sorted[i] as string;
      if (key >= to) break;
      found.push(pairs.get(key) as IKeyValue);
    }
    const limit = Number(request.limit ?? 0);
    const kvs = request.count_only === true ? [] : limit > 0 ? found.slice(0, limit) : found;
    const shown = request.keys_only === true ? kvs.map((kv) => ({ ...kv, value: Buffer.alloc(0) })) : kvs;
    return { header: this.header, kvs: shown, more: limit > 0 && found.length > limit, count: String(found.length) };
  }

  txn({ compare = [], success = [], failure = [] }: ITxnRequest) {
    const succeeded = compare.every((one) => this.#holds(one));
    const ops = succeeded ? success : failure;
    for (const { request_put } of ops) if (request_put !== undefined) this.#leases.mustBeThere(request_put.lease);
    const next = this.revision + 1;
    const changes: Event[] = [];
    const responses = ops.map((op) => this.#do(op, next, changes));
    this.#commit(next, changes);
    return { header: this.header, succeeded, responses };
  }

  put(request: IPutRequest) {
    this.txn({ success: [{ request_put: request }] });
    return { header: this.header };
  }

  deleteRange(request: IDeleteRangeRequest) {
    const changes: Event[] = [];
    const deleted = this.#delete(request, this.revision + 1, changes);
    this.#commit(this.revision + 1, changes);
    return { header: this.header, deleted, prev_kvs: [] };
  }

  leaseGrant(ttl: number): string {
    return this.#leases.grant(ttl);
  }

  leaseRevoke(id: string): void {
    const changes: Event[] = [];
    for (const key of this.#leases.revoke(id)) this.#remove(key, this.revision + 1, changes);
    this.#commit(this.revision + 1, changes);
  }

  /** @returns the seconds it has now; 0 when it is gone */
  keepAlive(id: string): number {
    return this.#leases.keepAlive(id);
  }

  /** Ends the leases whose time is over. Call now and then. */
  expire(): void {
    for (const id of this.#leases.over()) this.leaseRevoke(id);
  }

  compact(revision: number): void {
    this.compacted = Math.max(this.compacted, revision);
  }

  /** Its streams break, and leases begin anew with their whole time. */
  restart(): void {
    this.term++;
    this.#watchers.clear();
    this.#leases.begin();
  }

  /** @returns undefined when it is cancelled at once */
  watch(request: IWatchCreateRequest, tell: (response: IWatchResponse) => void): Watcher | undefined {
    const start = Number(request.start_revision ?? 0);
    tell(this.response({ created: true }));
    if (start > 0 && start <= this.compacted) {
      tell(this.response({ canceled: true, compact_revision: String(this.compacted) }));
      return undefined;
    }
    const [from, to] = bounds(request);
    const watcher = { from, to, tell };
    if (start > 0) this.#tell(watcher, this.history.slice(firstAt(this.history, start)));
    this.#watchers.add(watcher);
    return watcher;
  }

  unwatch(watcher: Watcher): void {
    this.#watchers.delete(watcher);
  }

  /** A message of a watch; without anything it tells of the progress. */
  response(parts: Partial<IWatchResponse>): IWatchResponse {
    return {
      header: this.header,
      watch_id: '0',
      created: false,
      canceled: false,
      compact_revision: '0',
      cancel_reason: '',
      fragment: false,
      events: [],
      ...parts,
    };
  }

  #tell(watcher: Watcher, changes: readonly Event[]): void {
    const own = changes.filter(({ kv }) => within(kv.key, watcher));
    for (let at = 0; at < own.length; ) {
      const { revision } = own[at] as Event;
      const end = own.findIndex((event, i) => i > at && event.revision !== revision);
      const events = own.slice(at, end === -1 ? own.length : end);
      // On the wire types are in capitals, whatever etcd3's types say.
      watcher.tell(this.response({ events: events as unknown as IWatchResponse['events'] }));
      at += events.length;
    }
  }

  get #keys(): string[] {
    this.#sorted ??= [...this.#pairs.keys()].sort();
    return this.#sorted;
  }

  #pairsAt(revision: number): Map<string, IKeyValue> {
    const pairs = new Map<string, IKeyValue>();
    for (const { revision: made, type, kv } of this.history) {
      if (made > revision) break;
      if (type === 'PUT') pairs.set(text(kv.key), kv);
      else pairs.delete(text(kv.key));
    }
    return pairs;
  }

  /** Whether all keys of a range are so; where there is none, an empty one is looked at. */
  #holds(compare: ICompare): boolean {
    const { kvs } = this.range({
      key: compare.key ?? Buffer.alloc(0),
      ...(compare.range_end === undefined ? {} : { range_end: compare.range_end }),
    });
    return kvs.length === 0 ? this.#fits(undefined, compare) : kvs.every((pair) => this.#fits(pair, compare));
  }

  #fits(pair: IKeyValue | undefined, { target, result, version, mod_revision }: ICompare): boolean {
    if (result !== 'Equal') throw new Error(`the model compares Equal, not ${String(result)}`);
    if (target === 'Mod') return Number(pair?.mod_revision ?? 0) === Number(mod_revision);
    if (target === 'Version') return Number(pair?.version ?? 0) === Number(version);
    throw new Error(`the model compares Mod and Version, not ${String(target)}`);
  }

  #do(op: IRequestOp, revision: number, changes: Event[]) {
    if (op.request_range !== undefined) return { response_range: this.range(op.request_range) };
    if (op.request_put !== undefined) {
      this.#put(op.request_put, revision, changes);
      return { response_put: { header: this.header } };
    }
    if (op.request_delete_range === undefined) throw new Error('the model knows no such operation');
    return { response_delete_range: { header: this.header, deleted: this.#delete(op.request_delete_range, revision, changes) } };
  }

  #put(request: IPutRequest, revision: number, changes: Event[]): void {
    const key = text(request.key);
    const before = this.#pairs.get(key);
    const kv: IKeyValue = {
      key: Buffer.from(request.key ?? ''),
      value: Buffer.from(request.value ?? ''),
      create_revision: before?.create_revision ?? String(revision),
      mod_revision: String(revision),
      version: String(Number(before?.version ?? 0) + 1),
      lease: String(request.lease ?? 0),
    };
    this.#leases.detach(before?.lease, key);
    this.#leases.attach(kv.lease, key);
    this.#pairs.set(key, kv);
    if (before === undefined) this.#sorted = undefined;
    changes.push({ revision, type: 'PUT', kv });
  }

  #delete(request: IDeleteRangeRequest, revision: number, changes: Event[]): string {
    const gone = this.range({ ...request, keys_only: true }).kvs;
    for (const { key } of gone) this.#remove(text(key), revision, changes);
    return String(gone.length);
  }

  #remove(key: string, revision: number, changes: Event[]): void {
    const before = this.#pairs.get(key);
    if (before === undefined) return;
    this.#pairs.delete(key);
    this.#sorted = undefined;
    this.#leases.detach(before.lease, key);
    const none = { create_revision: '0', version: '0', lease: '0', value: Buffer.alloc(0) };
    changes.push({ revision, type: 'DELETE', kv: { key: before.key, mod_revision: String(revision), ...none } });
  }

  #commit(revision: number, changes: readonly Event[]): void {
    if (changes.length === 0) return;
    this.revision = revision;
    this.history.push(...changes);
    for (const change of changes) this.changed(change);
    for (const watcher of this.#watchers) this.#tell(watcher, changes);
  }
}

function within(key: Buffer, { from, to }: Watcher): boolean {
  const place = text(key);
  return place >= from && place < to;
}

function firstAt(history: readonly Event[], revision: number): number {
  const at = history.findIndex((event) => event.revision >= revision);
  return at === -1 ? history.length : at;
}
