/**
 * What was seen of sticky dice. Which values a percentage hits the reference leaves open; but a value that is hit once at a
 * percentage is hit at every higher one, and one that is spared is spared at every lower one, wherever and whenever.
 */
export class StickyDice {
  readonly #seen = new Map<string, { spared: number; hit: number }>();

  /** Takes notice of what became of a value. @returns whether that can be, after all that was seen before */
  agree(value: string, seed: number, percentage: number, hit: boolean): boolean {
    if (percentage === 0 || percentage === 100) return hit === (percentage === 100);
    const key = `${seed} ${value}`;
    const known = this.#seen.get(key) ?? { spared: 0, hit: 100 };
    this.#seen.set(key, known);
    if (hit) known.hit = Math.min(known.hit, percentage);
    else known.spared = Math.max(known.spared, percentage);
    return known.spared < known.hit;
  }

  /** How many values at how many seeds were seen. */
  get size(): number {
    return this.#seen.size;
  }
}
