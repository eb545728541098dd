import { EtcdModel } from './etcd-model.ts';
import type { Connection, Network } from './network.ts';
import type { Scheduler } from './scheduler.ts';

const EXPIRE_MS = 500;

/** etcd as a part of the network: it can be down, slow, restarted and compacted. */
export class EtcdServer {
  static readonly NAME = 'etcd';
  readonly model: EtcdModel;
  readonly scheduler: Scheduler;
  readonly network: Network;
  up = true;
  /** How much longer each answer takes, in milliseconds. */
  slowMs = 0;
  /** When something of it last came to a process, by its start. */
  readonly met = new Map<string, number>();
  /** Watch streams by what breaks them. */
  readonly streams = new Set<{ readonly connection: Connection; readonly fail: (error: Error) => void }>();

  constructor(scheduler: Scheduler, network: Network) {
    this.scheduler = scheduler;
    this.network = network;
    this.model = new EtcdModel(() => scheduler.now);
    const expire = (): void => {
      if (this.up) this.model.expire();
      scheduler.after(EXPIRE_MS, expire);
    };
    scheduler.after(EXPIRE_MS, expire);
  }

  /** All streams break at once, as when the process is killed. */
  stop(): void {
    this.up = false;
    for (const { connection, fail } of this.streams) {
      connection.broken = true;
      fail(new Error('14 UNAVAILABLE: connection dropped'));
    }
    this.streams.clear();
  }

  start(): void {
    if (this.up) return;
    this.model.restart();
    this.up = true;
  }
}
