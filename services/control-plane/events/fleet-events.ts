import { isConnected, type KnownProxy } from '../fleet/proxy.ts';
import type { Cancel, Runtime } from '../runtime.ts';
import type { FleetEvent } from './events.ts';

/** Changes of the fleet are told at most so often: ten thousand proxies acknowledge one by one. */
const REST_MS = 250;

/** Tells how the proxies stand whenever that has changed, after a rest at the latest. */
export class FleetEvents {
  readonly #runtime: Runtime;
  readonly #count: () => Omit<FleetEvent, 'type'>;
  readonly #tell: (event: FleetEvent) => void;
  #told: Omit<FleetEvent, 'type'> = { connected: 0, current: 0 };
  #resting: Cancel | undefined;
  #changed = false;

  constructor(runtime: Runtime, count: () => Omit<FleetEvent, 'type'>, tell: (event: FleetEvent) => void) {
    this.#runtime = runtime;
    this.#count = count;
    this.#tell = tell;
  }

  /** Something changed in the fleet. */
  changed(): void {
    this.#changed = true;
    if (this.#resting === undefined) this.#look();
  }

  stop(): void {
    this.#resting?.();
    this.#resting = undefined;
  }

  #look(): void {
    this.#resting = undefined;
    if (!this.#changed) return;
    this.#changed = false;
    const now = this.#count();
    if (now.connected !== this.#told.connected || now.current !== this.#told.current) {
      this.#told = now;
      this.#tell({ type: 'fleet', ...now });
    }
    this.#resting = this.#runtime.timers.after(REST_MS, () => this.#look());
  }
}

/** The connected proxies, and those of them that run what they should. @param now milliseconds since the epoch */
export function standing(proxies: Iterable<KnownProxy>, now: number): Omit<FleetEvent, 'type'> {
  let connected = 0;
  let current = 0;
  for (const proxy of proxies) {
    if (!isConnected(proxy, now)) continue;
    connected++;
    if (proxy.hello.acknowledged === proxy.group.ruleset.version && proxy.hello.layoutFits) current++;
  }
  return { connected, current };
}
