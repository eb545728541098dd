/** Up to so many proxies the shares are exact; of more, the number is rounded up in steps of at most an eighth, so that few wake when one comes. */
const EXACT = 16;

/**
 * The injections that all proxies together may do in a second, shared out: each replica has an equal part, and of that each of its proxies that has faults.
 * Shares are never lent, so together they are never more than the whole; where the load is uneven, less is done.
 */
export class Budget {
  readonly #perSecond: number | undefined;
  readonly #replicas: () => number;
  #share = 0;

  /** @param perSecond of the whole fleet; undefined = any @param replicas how many share it, this one among them */
  constructor(perSecond: number | undefined, replicas: () => number) {
    this.#perSecond = perSecond;
    this.#replicas = replicas;
  }

  /** Whether there is one. */
  get limited(): boolean {
    return this.#perSecond !== undefined;
  }

  /** How many injections a second each proxy may do; 0 = any. */
  get share(): number {
    return this.#share;
  }

  /** Takes how many proxies of this replica have faults. @returns whether each one's share is another now */
  divide(proxies: number): boolean {
    const before = this.#share;
    this.#share = this.#perSecond === undefined ? 0 : this.#perSecond / Math.max(1, this.#replicas()) / inSteps(Math.max(1, proxies));
    return this.#share !== before;
  }
}

function inSteps(count: number): number {
  if (count <= EXACT) return count;
  const step = 2 ** (Math.floor(Math.log2(count)) - 3);
  return Math.ceil(count / step) * step;
}
