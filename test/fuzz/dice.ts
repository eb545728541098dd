/** Numbers that follow from a seed: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), 32 bits of it at a time. */
export class Dice {
  #state: bigint;

  constructor(seed: bigint) {
    this.#state = seed;
  }

  /** 0 to 2^32 - 1. */
  word(): number {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e3779b97f4a7c15n);
    let z = this.#state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number(z >> 32n);
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return this.word() % Math.max(count, 1);
  }

  /** Whether one in `times` comes up. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** @param items of which there is at least one */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}
