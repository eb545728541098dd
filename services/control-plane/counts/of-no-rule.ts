import { KEY_UNASKED, KEY_UNCOUNTED } from '../../../filter/assembly/tally-layout.ts';
import { matched, type Tally } from './tally.ts';

const UNASKED = BigInt(KEY_UNASKED);
const UNCOUNTED = BigInt(KEY_UNCOUNTED);

/** What a proxy counted that belongs to no rule, since its process began. */
export interface OfNoRule {
  readonly epoch: string;
  /** Requests that lost the dice before any header was read. */
  unasked: number;
  /** Requests of rules that there was no room to count by rule. */
  uncounted: number;
}

/** What proxies count that belongs to no rule: known to the replica that heard it, and kept nowhere. */
export class OfNoRules {
  readonly #most: number;
  readonly #proxies = new Map<string, OfNoRule>();

  /** @param most proxies that are known at a time */
  constructor(most: number) {
    this.#most = most;
  }

  get(proxy: string): OfNoRule | undefined {
    return this.#proxies.get(proxy);
  }

  /** @returns whether the key is one of these */
  hear(proxy: string, epoch: string, key: bigint, tally: Tally): boolean {
    if (key !== UNASKED && key !== UNCOUNTED) return false;
    let known = this.#proxies.get(proxy);
    if (known?.epoch !== epoch) {
      // The one that was heard of first is most likely gone.
      const [first] = this.#proxies.keys();
      if (first !== undefined && this.#proxies.size >= this.#most) this.#proxies.delete(first);
      known = { epoch, unasked: 0, uncounted: 0 };
      this.#proxies.set(proxy, known);
    }
    if (key === UNASKED) known.unasked = Math.max(known.unasked, tally.dice ?? 0);
    else known.uncounted = Math.max(known.uncounted, matched(tally));
    return true;
  }
}
