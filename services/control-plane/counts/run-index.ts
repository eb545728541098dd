import type { Run } from './run.ts';

/** Finds the rule that a report's key means. The keys of a run follow one another, so that the runs' first keys are enough. */
export class RunIndex {
  /** In the order of their first keys. */
  readonly #runs: Run[] = [];

  add(run: Run): void {
    this.#runs.splice(this.#placeBehind(run.firstKey), 0, run);
  }

  remove(run: Run): void {
    this.#runs.splice(this.#runs.indexOf(run), 1);
  }

  ruleOf(key: bigint): { readonly run: Run; readonly rule: number } | undefined {
    const run = this.#runs[this.#placeBehind(key) - 1];
    if (run === undefined) return undefined;
    const rule = Number(key - run.firstKey);
    return rule < (run.about?.limits.length ?? 0) ? { run, rule } : undefined;
  }

  /** Where the first run stands whose first key is above `key`. */
  #placeBehind(key: bigint): number {
    let low = 0;
    for (let high = this.#runs.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#runs[middle]?.firstKey ?? 0n) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
