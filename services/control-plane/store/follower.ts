import type { IKeyValue, IResponseHeader, IWatchResponse } from 'etcd3';
import type { StoredToken } from '../access/issued.ts';
import type { Cancel, Runtime } from '../runtime.ts';
import type { EtcdConnection, WatchStream } from './client.ts';
import { type Halt, readHalt } from './halts.ts';
import { FOLLOWED, HALTS, POLICIES, POLICY_LEASES, PRINCIPALS, REPLICAS } from './keys.ts';
import type { Change, StoredPolicy } from './store.ts';
import { type OwnersLease, readLease, readPolicy, readToken, withLease } from './value.ts';

/**
 * Keeps a replica's copy of the policies, of their owners' leases, of the halts, of the issued tokens and of the list of replicas current.
 *
 * ```
 *            ┌──────────────── compacted, another history, or never listed ──────────────────┐
 *            ▼                                                                               │
 *   ┌─▶ listing ──▶ opening ──▶ following ──▶ broken ──(pause ≤ 500 ms, new connection)──────┤
 *   │                  ▲                                                                     │
 *   │                  └───────────────────── knows a revision to go on from ────────────────┘
 *   start                                            stop() ends it from every state
 * ```
 *
 * A half-open connection is silent, so silence is the alarm: the stream is asked for its progress every `PROGRESS_MS`, and
 * when nothing at all came for `SILENCE_MS` the connection is given up, with its client, and a new one is made.
 */
const PROGRESS_MS = 300;
const SILENCE_MS = 1000;
const OPENING_MS = 800;
const LISTING_MS = 10_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

export interface FollowerEvents {
  /**
   * The halts may be others now. Told before the policies that changed with them.
   *
   * @param lost when etcd has another history now, as after a restore: the halts that are not in it, which nobody lifted
   */
  halted(lost: readonly Halt[] | undefined): void;
  /** What changed, all of one moment; after a new listing too. */
  changed(changes: readonly Change[]): void;
  /** Owners renewed the leases of these policies. */
  renewed(policies: readonly StoredPolicy[]): void;
  /** The first listing is there. */
  ready(): void;
  /** Something to tell the operator: the connection was lost, resumed, listed again, or a value can't be read. */
  note(what: string, details: Record<string, unknown>): void;
}

type State = 'new' | 'listing' | 'opening' | 'following' | 'broken' | 'stopped';

export class Follower {
  readonly policies = new Map<string, StoredPolicy>();
  /** By their keys. */
  readonly halts = new Map<string, Halt>();
  readonly tokens = new Map<string, StoredToken>();
  readonly replicas = new Map<string, string>();
  /** Owners' leases by the names of their policies. */
  readonly #leases = new Map<string, OwnersLease>();
  /** The newest revision of which every change is in `policies`. */
  revision = 0;
  /** The revision of the newest change of a policy or halt that may be known, or of the first listing: at most `revision`. */
  lastChange = 0;
  /** `elapsed` of the last sign that the copy is current; undefined before the first. */
  currentAt: number | undefined;

  readonly #connect: () => EtcdConnection;
  readonly #runtime: Runtime;
  readonly #events: FollowerEvents;
  #state: State = 'new';
  /** The revision after which the next watch begins; 0 = list first. */
  #resumeAfter = 0;
  /** Which etcd cluster was listed, and the newest term of its leader that is known. */
  #history: { readonly cluster: string; readonly term: number } | undefined;
  /** The next listing is of another history than the one before. */
  #lostHistory = false;
  /** What the progress answer before said: whatever it covers has arrived by the next one. */
  #progress = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #client: EtcdConnection | undefined;
  #stream: WatchStream | undefined;
  #lastHeard = 0;
  #cancelTimer: Cancel = () => undefined;

  constructor(connect: () => EtcdConnection, runtime: Runtime, events: FollowerEvents) {
    this.#connect = connect;
    this.#runtime = runtime;
    this.#events = events;
  }

  get following(): boolean {
    return this.#state === 'following';
  }

  start(): void {
    if (this.#state === 'new') void this.#begin();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#drop();
  }

  async #begin(): Promise<void> {
    const client = this.#connect();
    this.#client = client;
    try {
      if (this.#resumeAfter > 0) await this.#compareHistory(client);
      if (this.#client !== client) return;
      if (this.#resumeAfter === 0) {
        this.#state = 'listing';
        await this.#list(client);
      }
      if (this.#client !== client) return;
      this.#state = 'opening';
      await this.#open(client);
    } catch (error) {
      this.#broken(client, error);
    }
  }

  /**
   * A watch on an etcd that lost its data, or was restored, goes on without a word. Within one history neither the revision nor the
   * leader's term ever goes back.
   */
  async #compareHistory(client: EtcdConnection): Promise<void> {
    const { header } = await client.keys.range(
      { key: Buffer.from(FOLLOWED.from), count_only: true },
      { deadline: this.#runtime.clock.now() + OPENING_MS },
    );
    if (this.#client !== client) return;
    const { cluster, term } = historyOf(header);
    if (this.#history?.cluster === cluster && term >= this.#history.term && Number(header.revision) >= this.#resumeAfter) {
      this.#history = { cluster, term };
      return;
    }
    this.#events.note('etcd has another history', { revision: Number(header.revision), known: this.#resumeAfter });
    this.#resumeAfter = 0;
    this.#lostHistory = true;
  }

  async #list(client: EtcdConnection): Promise<void> {
    const found = await client.keys.range(
      { key: Buffer.from(FOLLOWED.from), range_end: Buffer.from(FOLLOWED.to) },
      { deadline: this.#runtime.clock.now() + LISTING_MS },
    );
    if (this.#client !== client) return;
    const revision = Number(found.header.revision);
    const first = this.revision === 0;
    const { changes, gone, haltsChanged } = this.#take(found.kvs);
    this.revision = revision;
    this.#resumeAfter = revision;
    this.#history = historyOf(found.header);
    // Which revision took away what isn't listed any more is not known: a proxy that was told less could get it back from a replica that is behind.
    if (first || changes.length > 0 || haltsChanged) this.lastChange = revision;
    if (first) this.#events.ready();
    this.#events.halted(this.#lostHistory ? gone : undefined);
    this.#lostHistory = false;
    this.#events.changed(changes);
    this.#events.note('etcd listed', { revision, policies: this.policies.size });
  }

  /** Makes the copy equal to a listing; gives the differences. */
  #take(pairs: readonly IKeyValue[]): { changes: Change[]; gone: Halt[]; haltsChanged: boolean } {
    const listed = new Map<string, StoredPolicy>();
    const haltsBefore = [...this.halts.values()];
    this.replicas.clear();
    this.#leases.clear();
    this.halts.clear();
    this.tokens.clear();
    for (const pair of pairs) {
      const key = pair.key.toString('utf8');
      if (key.startsWith(REPLICAS)) {
        this.#putReplica(key, pair);
        continue;
      }
      if (key.startsWith(PRINCIPALS)) {
        this.#putToken(key, pair);
        continue;
      }
      if (key.startsWith(POLICY_LEASES)) {
        this.#putLease(pair);
        continue;
      }
      if (key.startsWith(HALTS)) this.#putHalt(key, pair);
      else {
        const stored = this.#read(pair);
        if (stored !== undefined) listed.set(stored.policy.metadata.name, stored);
      }
    }
    const changes: Change[] = [];
    for (const name of new Set([...this.policies.keys(), ...listed.keys()])) {
      const before = this.policies.get(name);
      const found = listed.get(name);
      const after = found && withLease(found, this.#leases.get(name));
      const same = before?.revision === after?.revision && before?.renewal?.revision === after?.renewal?.revision;
      if (!same) changes.push({ name, before, after });
      if (after === undefined) this.policies.delete(name);
      else this.policies.set(name, after);
    }
    const ids = new Set([...this.halts.values()].map(({ id }) => id));
    const gone = haltsBefore.filter(({ id }) => !ids.has(id));
    return { changes, gone, haltsChanged: gone.length > 0 || ids.size !== haltsBefore.length };
  }

  async #open(client: EtcdConnection): Promise<void> {
    this.#after(OPENING_MS, () => this.#broken(client, new Error('etcd did not open the watch in time')));
    const stream = await client.watches.watch();
    if (this.#client !== client) {
      stream.cancel();
      return;
    }
    this.#stream = stream;
    // Nothing may leave these listeners as an exception: it would end the process.
    stream.on('data', (response) => {
      try {
        if (this.#client === client) this.#hear(client, response);
      } catch (error) {
        this.#broken(client, error);
      }
    });
    stream.on('error', (error) => this.#broken(client, error));
    stream.on('end', () => this.#broken(client, new Error('etcd ended the watch')));
    stream.write({
      create_request: {
        key: Buffer.from(FOLLOWED.from),
        range_end: Buffer.from(FOLLOWED.to),
        // Not the one after: since 3.5.8 etcd answers no progress request while a watch begins in the future.
        start_revision: this.#resumeAfter,
        progress_notify: true,
      },
    });
  }

  #hear(client: EtcdConnection, response: IWatchResponse): void {
    const now = this.#runtime.clock.elapsed();
    // What a process that was stopped finds waiting is of before: it vouches for nothing that is so now.
    this.#refuseSilence(now);
    this.#lastHeard = now;
    if (response.canceled) {
      if (Number(response.compact_revision) > 0) {
        this.#resumeAfter = 0;
        this.#pauseMs = 0;
      }
      throw new Error(`etcd cancelled the watch: ${response.cancel_reason}`);
    }
    if (response.created) {
      this.#state = 'following';
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#progress = 0;
      this.#events.note('etcd watch open', { after: this.#resumeAfter });
      this.#watchSilence(client);
      return;
    }
    if (response.events.length > 0) {
      this.#apply(response);
      return;
    }
    // A progress answer can overtake events in etcd before 3.5.8, so each one only vouches for the one before.
    if (this.#progress > 0) {
      this.currentAt = now;
      this.revision = Math.max(this.revision, this.#progress);
    }
    this.#progress = Number(response.header.revision);
  }

  #apply(response: IWatchResponse): void {
    const changes = new Map<string, Change>();
    const renewed = new Set<string>();
    // The watch begins with the revision that is known already.
    const news = response.events.filter(({ kv }) => Number(kv.mod_revision) > this.#resumeAfter);
    if (news.length === 0) return;
    let haltsChanged = false;
    for (const { type, kv } of news) {
      const key = kv.key.toString('utf8');
      // On the wire it is `PUT`, in etcd3's types `Put`.
      const isPut = type.toUpperCase() === 'PUT';
      if (key.startsWith(REPLICAS)) {
        if (isPut) this.#putReplica(key, kv);
        else this.replicas.delete(key.slice(REPLICAS.length));
        continue;
      }
      if (key.startsWith(POLICY_LEASES)) {
        // That one is gone tells nothing: it goes with its policy.
        const name = isPut ? this.#putLease(kv) : undefined;
        if (name !== undefined) renewed.add(name);
        continue;
      }
      if (key.startsWith(HALTS)) {
        haltsChanged = true;
        if (isPut) this.#putHalt(key, kv);
        else this.halts.delete(key);
        continue;
      }
      if (key.startsWith(PRINCIPALS)) {
        if (isPut) this.#putToken(key, kv);
        else this.tokens.delete(key.slice(PRINCIPALS.length));
        continue;
      }
      const name = key.slice(POLICIES.length);
      const after = isPut ? this.#read(kv) : undefined;
      changes.set(name, { name, before: changes.get(name)?.before ?? this.policies.get(name), after });
      if (after === undefined) this.policies.delete(name);
      else this.policies.set(name, after);
    }
    const newest = Math.max(...news.map((event) => Number(event.kv.mod_revision)));
    this.#resumeAfter = Math.max(this.#resumeAfter, newest);
    this.revision = Math.max(this.revision, newest);
    if (changes.size > 0 || haltsChanged) this.lastChange = Math.max(this.lastChange, newest);
    if (haltsChanged) this.#events.halted(undefined);
    this.#events.changed([...changes.values()]);
    this.#renew(renewed);
  }

  #renew(names: ReadonlySet<string>): void {
    const policies = [...names].flatMap((name) => {
      const stored = this.policies.get(name);
      const renewed = stored && withLease(stored, this.#leases.get(name));
      if (renewed === undefined || renewed === stored) return [];
      this.policies.set(name, renewed);
      return [renewed];
    });
    if (policies.length > 0) this.#events.renewed(policies);
  }

  /** Notes an owner's lease. @returns the name of its policy */
  #putLease(pair: IKeyValue): string | undefined {
    const lease = readLease(pair);
    if (lease === undefined) this.#events.note("unreadable owner's lease in etcd, left out", { key: pair.key.toString('utf8') });
    else this.#leases.set(lease.name, lease);
    return lease?.name;
  }

  #read(pair: IKeyValue): StoredPolicy | undefined {
    const stored = readPolicy(pair);
    if (stored === undefined) this.#events.note('unreadable policy in etcd, left out', { key: pair.key.toString('utf8') });
    return stored;
  }

  #putHalt(key: string, pair: IKeyValue): void {
    const halt = readHalt(pair);
    if (halt === undefined) this.#events.note('unreadable halt in etcd, left out', { key });
    else this.halts.set(key, halt);
  }

  #putReplica(key: string, pair: IKeyValue): void {
    try {
      const { url } = JSON.parse(pair.value.toString('utf8')) as { url: unknown };
      if (typeof url === 'string') this.replicas.set(key.slice(REPLICAS.length), url);
    } catch {
      this.#events.note('unreadable replica in etcd, left out', { key });
    }
  }

  #putToken(key: string, pair: IKeyValue): void {
    const token = readToken(pair);
    // What can't be read must not leave the one before in force.
    this.tokens.delete(key.slice(PRINCIPALS.length));
    if (token !== undefined) this.tokens.set(token.name, token);
    else this.#events.note('unreadable token in etcd, left out', { key });
  }

  /** Asks for progress now and then, and gives the connection up when nothing comes. */
  #watchSilence(client: EtcdConnection): void {
    if (this.#client !== client || this.#state !== 'following') return;
    try {
      this.#refuseSilence(this.#runtime.clock.elapsed());
    } catch (error) {
      this.#broken(client, error);
      return;
    }
    this.#stream?.write({ progress_request: {} });
    this.#after(PROGRESS_MS, () => this.#watchSilence(client));
  }

  /** @throws Error when nothing has come on an open watch for too long */
  #refuseSilence(now: number): void {
    const silence = now - this.#lastHeard;
    if (this.#state === 'following' && silence > SILENCE_MS) throw new Error(`etcd was silent for ${Math.round(silence)} ms`);
  }

  #broken(client: EtcdConnection, error: unknown): void {
    if (this.#client !== client || this.#state === 'stopped') return;
    const wasFollowing = this.#state === 'following';
    this.#state = 'broken';
    this.#drop();
    const reason = error instanceof Error ? error.message : String(error);
    if (wasFollowing) this.#events.note('etcd watch lost', { reason });
    this.#after(this.#pauseMs * (0.5 + this.#runtime.random() / 2), () => void this.#begin());
    this.#pauseMs = Math.min(Math.max(this.#pauseMs, FIRST_PAUSE_MS / 2) * 2, LONGEST_PAUSE_MS);
  }

  #drop(): void {
    this.#cancelTimer();
    const [stream, client] = [this.#stream, this.#client];
    this.#stream = undefined;
    this.#client = undefined;
    try {
      stream?.cancel();
      client?.close();
    } catch {
      // A connection that is given up may fail in any way.
    }
  }

  #after(ms: number, task: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#runtime.timers.after(ms, task);
  }
}

function historyOf({ cluster_id, raft_term }: IResponseHeader): { readonly cluster: string; readonly term: number } {
  return { cluster: String(cluster_id), term: Number(raft_term) };
}
