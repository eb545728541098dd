import { EventEmitter } from 'node:events';
import type { IWatchRequest, IWatchResponse } from 'etcd3';
import type { Runtime } from '../../services/control-plane/runtime.ts';
import { CALL_DEADLINE_MS, type EtcdConnection, type KeptLease, type WatchStream } from '../../services/control-plane/store/client.ts';
import type { Watcher } from './etcd-model.ts';
import { EtcdServer } from './etcd-server.ts';
import type { Connection } from './network.ts';

/** What a connection belongs to: a process that can be killed or stand still. */
export interface Owner {
  readonly name: string;
  /** Tells this process from others of the name. */
  readonly start: string;
  readonly runtime: Runtime;
  /** Runs what arrives, unless the process is gone, and later when it stands still. */
  take(task: () => void): void;
}

/** A connection to the model of etcd, over the network. It fails as etcd3's client does with its own resilience off. */
export class ModelConnection implements EtcdConnection {
  readonly #server: EtcdServer;
  readonly #owner: Owner;
  readonly #closing = new Set<(error: Error) => void>();
  #closed = false;

  constructor(server: EtcdServer, owner: Owner) {
    this.#server = server;
    this.#owner = owner;
  }

  readonly keys: EtcdConnection['keys'] = {
    range: (request, options) => this.#call(() => this.#server.model.range(request), options?.deadline),
    put: (request, options) => this.#call(() => this.#server.model.put(request) as never, options?.deadline),
    txn: (request, options) => this.#call(() => this.#server.model.txn(request) as never, options?.deadline),
    deleteRange: (request, options) => this.#call(() => this.#server.model.deleteRange(request), options?.deadline),
  };

  readonly leases: EtcdConnection['leases'] = {
    leaseGrant: ({ TTL }) =>
      this.#call(() => ({
        header: this.#server.model.header,
        ID: this.#server.model.leaseGrant(Number(TTL)),
        TTL: String(TTL),
        error: '',
      })),
    leaseRevoke: ({ ID }) =>
      this.#call(() => {
        this.#server.model.leaseRevoke(String(ID));
        return { header: this.#server.model.header };
      }),
    leaseKeepAlive: () => Promise.reject(new Error('the evaluator of stop conditions is not simulated')),
  };

  readonly watches = {
    watch: (): Promise<WatchStream> => Promise.resolve(new ModelStream(this.#server, this.#owner)),
  };

  lease(ttl: number): KeptLease {
    return new ModelLease(ttl, this, this.#server, this.#owner, (run) => this.#call(run));
  }

  close(): void {
    this.#closed = true;
    for (const fail of [...this.#closing]) fail(new Error('1 CANCELLED: the client was closed'));
  }

  #call<T>(run: () => T, deadline?: Date | number): Promise<T> {
    const { scheduler, network } = this.#server;
    const ms = deadline === undefined ? CALL_DEADLINE_MS : Number(deadline) - this.#owner.runtime.clock.now();
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) return reject(new Error('1 CANCELLED: the client was closed'));
      let over = false;
      const end = (task: () => void): void => {
        if (over) return;
        over = true;
        cancel();
        this.#closing.delete(fail);
        task();
      };
      const fail = (error: Error): void => end(() => reject(error));
      const cancel = scheduler.after(ms, () => this.#owner.take(() => fail(new Error('4 DEADLINE_EXCEEDED'))));
      this.#closing.add(fail);
      const back = (task: () => void): void =>
        network.send(EtcdServer.NAME, this.#owner.name, () => {
          this.#server.met.set(this.#owner.start, scheduler.now);
          this.#owner.take(() => end(task));
        });
      network.send(this.#owner.name, EtcdServer.NAME, () => {
        const serve = (): void => {
          if (!this.#server.up) {
            back(() => reject(new Error('14 UNAVAILABLE: no connection')));
            return;
          }
          try {
            const result = run();
            back(() => resolve(result));
          } catch (error) {
            back(() => reject(error instanceof Error ? error : new Error(String(error))));
          }
        };
        if (this.#server.slowMs > 0) scheduler.after(this.#server.slowMs, serve);
        else serve();
      });
    });
  }
}

class ModelStream extends EventEmitter implements WatchStream {
  readonly #server: EtcdServer;
  readonly #owner: Owner;
  readonly #to: Connection = { lastAt: 0, broken: false };
  readonly #from: Connection = { lastAt: 0, broken: false };
  #watcher: Watcher | undefined;

  constructor(server: EtcdServer, owner: Owner) {
    super();
    this.#server = server;
    this.#owner = owner;
    const stream = { connection: this.#from, fail: (error: Error) => this.#fail(error) };
    server.streams.add(stream);
  }

  write(request: IWatchRequest): void {
    this.#server.network.send(this.#owner.name, EtcdServer.NAME, () => this.#serve(request), this.#to);
  }

  cancel(): void {
    this.#to.broken = true;
    this.#from.broken = true;
    if (this.#watcher !== undefined) this.#server.model.unwatch(this.#watcher);
  }

  #serve({ create_request, progress_request }: IWatchRequest): void {
    const { model, up } = this.#server;
    if (!up) {
      // What ends it is no message of the stream.
      this.#server.network.send(EtcdServer.NAME, this.#owner.name, () => this.#fail(new Error('14 UNAVAILABLE: no connection')));
      return;
    }
    if (create_request !== undefined) this.#watcher = model.watch(create_request, (response) => this.#tell(response));
    if (progress_request !== undefined && this.#watcher !== undefined) this.#tell(model.response({}));
  }

  #tell(response: IWatchResponse): void {
    this.#server.network.send(
      EtcdServer.NAME,
      this.#owner.name,
      () => {
        this.#server.met.set(this.#owner.start, this.#server.scheduler.now);
        this.#owner.take(() => !this.#from.broken && this.emit('data', response));
      },
      this.#from,
    );
  }

  #fail(error: Error): void {
    this.#owner.take(() => this.listenerCount('error') > 0 && this.emit('error', error));
  }
}

class ModelLease extends EventEmitter implements KeptLease {
  readonly #id: Promise<string>;
  readonly #connection: ModelConnection;
  readonly #call: <T>(run: () => T) => Promise<T>;
  readonly #server: EtcdServer;
  readonly #owner: Owner;
  readonly #ttl: number;
  #over = false;

  constructor(ttl: number, connection: ModelConnection, server: EtcdServer, owner: Owner, call: <T>(run: () => T) => Promise<T>) {
    super();
    this.#ttl = ttl;
    this.#connection = connection;
    this.#server = server;
    this.#owner = owner;
    this.#call = call;
    this.#id = call(() => server.model.leaseGrant(ttl));
    this.#id.then(
      () => this.#keep(),
      (error: Error) => this.#lose(error),
    );
  }

  put(key: string) {
    return {
      value: (value: string) => ({
        exec: async (): Promise<unknown> => {
          const lease = await this.#id;
          return this.#connection.keys.txn({
            compare: [],
            success: [{ request_put: { key: Buffer.from(key), value: Buffer.from(value), lease } }],
          });
        },
      }),
    };
  }

  async revoke(): Promise<void> {
    this.#over = true;
    const id = await this.#id;
    await this.#call(() => this.#server.model.leaseRevoke(id));
  }

  #lose(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.emit('lost', error);
  }

  /** As etcd3: three times in its life; lost when etcd says so. */
  #keep(): void {
    this.#owner.runtime.timers.after((this.#ttl * 1000) / 3, async () => {
      if (this.#over) return;
      const id = await this.#id;
      const left = await this.#call(() => this.#server.model.keepAlive(id)).catch(() => this.#ttl);
      if (left === 0) this.#lose(new Error('the lease is over'));
      else this.#keep();
    });
  }
}
