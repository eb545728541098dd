import type { Dice } from '../fuzz/dice.ts';
import { EtcdServer } from './etcd-server.ts';
import type { Network } from './network.ts';
import type { Replica } from './replica.ts';
import type { Scheduler } from './scheduler.ts';
import type { Sidecar } from './sidecar.ts';

export interface Parts {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly etcd: EtcdServer;
  readonly replicas: readonly Replica[];
  readonly proxies: readonly Sidecar[];
  /** Told before a proxy is killed. */
  readonly killing: (proxy: Sidecar) => void;
}

/** What can go wrong. A run has some of them, so that each also comes alone. */
export const FAULTS = [
  'cut',
  'late',
  'twice',
  'kill-replica',
  'freeze',
  'kill-proxy',
  'etcd-down',
  'etcd-slow',
  'compact',
  'clock',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Those by which a replica knows less than the others, or a proxy, for a while. */
export const SLOWING: readonly Fault[] = ['cut', 'late', 'freeze', 'etcd-down', 'etcd-slow'];

const JUMPS_MS = [1000, -1000, 30_000, -30_000, 3_600_000, -3_600_000] as const;

/** Makes things go wrong, one after the other, until `stop`. */
export class Faults {
  readonly kinds: readonly Fault[];
  readonly #parts: Parts;
  readonly #dice: Dice;
  readonly #meanMs: number;
  #stopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#dice = parts.scheduler.fork();
    // Some runs have none: what then comes late is late by nobody's fault.
    this.kinds = this.#dice.oneIn(8) ? [] : FAULTS.filter(() => this.#dice.oneIn(3));
    this.#meanMs = 1000 + this.#dice.below(6000);
  }

  start(): void {
    if (this.kinds.length === 0) return;
    this.#parts.scheduler.after(this.#dice.below(this.#meanMs * 2), () => {
      if (this.#stopped) return;
      this.#make(this.#dice.pick(this.kinds));
      this.start();
    });
  }

  /** Nothing more goes wrong, and what is wrong gets well, but for the clocks. */
  stop(): void {
    this.#stopped = true;
    const { network, etcd, replicas, proxies } = this.#parts;
    Object.assign(network.weather, { lateOneIn: 0, longestMs: 0, twiceOneIn: 0 });
    network.mendAll();
    etcd.slowMs = 0;
    etcd.start();
    for (const replica of replicas) {
      replica.thaw();
      replica.launch();
    }
    for (const proxy of proxies) proxy.start();
  }

  /** Later, unless all is well by then anyway. */
  #afterwards(mostMs: number, task: () => void): void {
    this.#parts.scheduler.after(100 + this.#dice.below(mostMs), () => {
      if (!this.#stopped) task();
    });
  }

  #make(fault: Fault): void {
    const { scheduler, network, etcd, replicas, proxies, killing } = this.#parts;
    const replica = this.#dice.pick(replicas);
    const proxy = this.#dice.pick(proxies);
    scheduler.note(`fault ${fault}`);
    switch (fault) {
      case 'cut': {
        const [a, b] = this.#dice.pick([
          [replica.name, EtcdServer.NAME],
          [replica.name, proxy.name],
        ] as const);
        network.cut(a, b);
        scheduler.note(`cut ${a} ${b}`);
        this.#afterwards(25_000, () => network.mend(a, b));
        break;
      }
      case 'late':
        Object.assign(network.weather, { lateOneIn: 1 + this.#dice.below(10), longestMs: 10 + this.#dice.below(4000) });
        this.#afterwards(8000, () => Object.assign(network.weather, { lateOneIn: 0 }));
        break;
      case 'twice':
        // A poll that comes twice answers the first one, so that the proxy polls again: more of them would be a storm.
        network.weather.twiceOneIn = 3 + this.#dice.below(8);
        this.#afterwards(8000, () => Object.assign(network.weather, { twiceOneIn: 0 }));
        break;
      case 'kill-replica':
        replica.kill();
        this.#afterwards(8000, () => replica.launch());
        break;
      case 'freeze':
        replica.freeze();
        this.#afterwards(20_000, () => replica.thaw());
        break;
      case 'kill-proxy':
        killing(proxy);
        proxy.kill();
        this.#afterwards(5000, () => proxy.start());
        break;
      case 'etcd-down':
        scheduler.note('etcd stops');
        etcd.stop();
        this.#afterwards(15_000, () => etcd.start());
        break;
      case 'etcd-slow':
        etcd.slowMs = 50 + this.#dice.below(1600);
        this.#afterwards(8000, () => Object.assign(etcd, { slowMs: 0 }));
        break;
      case 'compact':
        etcd.model.compact(etcd.model.revision);
        break;
      case 'clock': {
        replica.setClock(this.#dice.oneIn(3) ? 0 : replica.offset + this.#dice.pick(JUMPS_MS));
      }
    }
  }
}
