import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/processes.ts';
import { SimulatedProxy } from './proxy.ts';

/** So many connect at a time, so that the start of a benchmark isn't one of its own. */
const BATCH = 250;
const PATIENCE_MS = 60_000;

/** A wave of rulesets through the fleet. */
export interface Wave {
  /** `performance.now()` when each proxy had its ruleset. */
  readonly times: readonly number[];
  /** When the last one had it. */
  readonly last: number;
}

/** Simulated proxies of one control plane, in namespaces `ns-0`, `ns-1`, … of equal size. */
export class Proxies {
  readonly #proxies: SimulatedProxy[];
  #took: ((proxy: SimulatedProxy) => void) | undefined;
  /** Names of those answered since `forget`. */
  readonly #answered = new Set<string>();
  /** What went wrong since `forget`, and how often. */
  readonly failures = new Map<string, number>();

  constructor(port: number, token: string, count: number, namespaces: number) {
    this.#proxies = Array.from({ length: count }, (_, i) => {
      const namespace = `ns-${i % namespaces}`;
      return new SimulatedProxy(`sidecar~10.0.${i >> 8}.${i & 255}~frontend-${i}.${namespace}`, namespace, port, token, {
        took: (proxy) => this.#took?.(proxy),
        answered: (proxy) => this.#answered.add(proxy.name),
        failed: (_proxy, why) => this.failures.set(why, (this.failures.get(why) ?? 0) + 1),
      });
    });
  }

  get count(): number {
    return this.#proxies.length;
  }

  get answered(): number {
    return this.#answered.size;
  }

  /** Connects all, and waits until each has its first ruleset and polls again. */
  async connect(): Promise<void> {
    this.forget();
    for (let i = 0; i < this.count; i += BATCH) {
      for (const proxy of this.#proxies.slice(i, i + BATCH)) proxy.start();
      const wanted = Math.min(this.count, i + BATCH);
      await until(
        () => this.answered >= wanted,
        () => `${this.answered} of ${wanted} are answered`,
        PATIENCE_MS,
      );
    }
    if (this.failures.size > 0) throw new Error(`some failed: ${JSON.stringify([...this.failures])}`);
    // The last ones' second polls are on their way.
    await sleep(200);
  }

  /** Counts anew. */
  forget(): void {
    this.#answered.clear();
    this.failures.clear();
  }

  /** Waits until `count` proxies have got another ruleset. @throws Error when one gets it that isn't `wanted` */
  wave(count: number, wanted: (proxy: SimulatedProxy) => boolean = () => true): Promise<Wave> {
    const times: number[] = [];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${times.length} of ${count} have the ruleset`)), PATIENCE_MS);
      this.#took = (proxy) => {
        times.push(performance.now());
        if (!wanted(proxy)) reject(new Error(`${proxy.name} was woken for nothing`));
        if (times.length < count) return;
        clearTimeout(timer);
        this.#took = undefined;
        resolve({ times, last: times.at(-1) ?? 0 });
      };
    });
  }

  close(): void {
    for (const proxy of this.#proxies) proxy.close();
  }
}
