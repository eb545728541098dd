import type { IWatchResponse } from 'etcd3';
import type { Cancel, Runtime } from '../runtime.ts';
import type { EtcdConnection, WatchStream } from './client.ts';
import { type CountsKey, type KeptCounts, readCounts, readKey, textOf } from './counts-store.ts';
import { COUNTS, endOf } from './keys.ts';

/** Keys in one answer while listing. */
const PAGE = 2000;
const LISTING_MS = 10_000;
const PROGRESS_MS = 1000;
const SILENCE_MS = 3000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;

export interface CountsFollowerEvents {
  kept(counts: KeptCounts): void;
  removed(key: CountsKey): void;
  /** Everything that was there has been told. */
  listed(listed: (key: CountsKey) => boolean): void;
  note(what: string, details: Record<string, unknown>): void;
}

/**
 * Tells what all replicas keep of the counts. Whoever listens takes the larger of what it knows and what it is told, so after a break
 * everything is simply listed again.
 */
export class CountsFollower {
  readonly #connect: () => EtcdConnection;
  readonly #runtime: Runtime;
  readonly #events: CountsFollowerEvents;
  #client: EtcdConnection | undefined;
  #stream: WatchStream | undefined;
  #lastHeard = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #stopped = false;
  #cancelTimer: Cancel = () => undefined;

  constructor(connect: () => EtcdConnection, runtime: Runtime, events: CountsFollowerEvents) {
    this.#connect = connect;
    this.#runtime = runtime;
    this.#events = events;
  }

  start(): void {
    if (this.#client === undefined && !this.#stopped) void this.#begin();
  }

  stop(): void {
    this.#stopped = true;
    this.#drop();
  }

  async #begin(): Promise<void> {
    const client = this.#connect();
    this.#client = client;
    try {
      const keys = new Set<string>();
      const revision = await this.#list(client, keys);
      if (this.#client !== client) return;
      this.#events.listed((key) => keys.has(textOf(key)));
      this.#pauseMs = FIRST_PAUSE_MS;
      await this.#watch(client, revision);
    } catch (error) {
      this.#broken(client, error);
    }
  }

  /** @returns the revision of the listing */
  async #list(client: EtcdConnection, keys: Set<string>): Promise<number> {
    const end = Buffer.from(endOf(COUNTS));
    let from: Buffer = Buffer.from(COUNTS);
    for (let revision = 0; ; ) {
      const found = await client.keys.range(
        { key: from, range_end: end, limit: PAGE, ...(revision === 0 ? {} : { revision }) },
        { deadline: this.#runtime.clock.now() + LISTING_MS },
      );
      if (this.#client !== client) return 0;
      if (revision === 0) revision = Number(found.header.revision);
      for (const pair of found.kvs) {
        keys.add(pair.key.toString('utf8'));
        this.#tell(readCounts(pair), pair.key);
      }
      const last = found.kvs.at(-1);
      if (!found.more || last === undefined) return revision;
      from = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  async #watch(client: EtcdConnection, revision: number): Promise<void> {
    const stream = await client.watches.watch();
    if (this.#client !== client) {
      stream.cancel();
      return;
    }
    this.#stream = stream;
    this.#lastHeard = this.#runtime.clock.elapsed();
    // Nothing may leave these listeners as an exception: it would end the process.
    stream.on('data', (response) => {
      try {
        if (this.#client === client) this.#hear(response);
      } catch (error) {
        this.#broken(client, error);
      }
    });
    stream.on('error', (error) => this.#broken(client, error));
    stream.on('end', () => this.#broken(client, new Error('etcd ended the watch')));
    // Not the revision behind it: since 3.5.8 etcd answers no progress request while a watch begins in the future.
    const range = { key: Buffer.from(COUNTS), range_end: Buffer.from(endOf(COUNTS)) };
    stream.write({ create_request: { ...range, start_revision: revision, progress_notify: true } });
    this.#watchSilence(client);
  }

  #hear(response: IWatchResponse): void {
    this.#lastHeard = this.#runtime.clock.elapsed();
    if (response.canceled) throw new Error(`etcd cancelled the watch: ${response.cancel_reason}`);
    for (const { type, kv } of response.events) {
      if (type.toUpperCase() === 'PUT') this.#tell(readCounts(kv), kv.key);
      else {
        const key = readKey(kv.key);
        if (key !== undefined) this.#events.removed(key);
      }
    }
  }

  #tell(kept: KeptCounts | undefined, key: Buffer): void {
    if (kept === undefined) this.#events.note('unreadable counts in etcd, left out', { key: key.toString('utf8') });
    else this.#events.kept(kept);
  }

  #watchSilence(client: EtcdConnection): void {
    if (this.#client !== client || this.#stream === undefined) return;
    const silence = this.#runtime.clock.elapsed() - this.#lastHeard;
    if (silence > SILENCE_MS) {
      this.#broken(client, new Error(`etcd was silent for ${Math.round(silence)} ms`));
      return;
    }
    this.#stream.write({ progress_request: {} });
    this.#after(PROGRESS_MS, () => this.#watchSilence(client));
  }

  #broken(client: EtcdConnection, error: unknown): void {
    if (this.#client !== client || this.#stopped) return;
    if (this.#stream !== undefined) this.#events.note('etcd watch of the counts lost', { reason: String(error) });
    this.#drop();
    this.#after(this.#pauseMs * (0.5 + this.#runtime.random() / 2), () => void this.#begin());
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
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
