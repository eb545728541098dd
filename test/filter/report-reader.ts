import type { Call } from '../../filter/host/abi.ts';
import { keyText, ruleKey, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import type { Envoy } from './envoy.ts';

export type Told = Readonly<Record<string, number>>;

export const UNASKED = keyText(0n);
export const UNCOUNTED = keyText(1n);

/** A rule's key as a report has it. */
export function keyOf(policy: string, rule: number, appliedAt: number): string {
  return keyText(ruleKey(runKey(policy, appliedAt), rule));
}

/** What a report says, by key. */
export function told(report: Call): Record<string, Told> {
  const { rules } = JSON.parse(report.body) as { rules: ({ key: string } & Record<string, number>)[] };
  return Object.fromEntries(rules.map(({ key, ...counts }) => [key, counts]));
}

/** A poll is held for so long. */
const HOLD_MS = 15_000;

/** The control plane's side of the reports: takes what comes, and of each counter the largest value. */
export class ReportReader {
  readonly counts = new Map<string, Record<string, number>>();
  /** Of every report that was taken, with the time in ms. */
  readonly taken: { readonly at: number; readonly report: Call }[] = [];
  replica = 'aaaaaaaaaaaaaaaa';
  readonly #envoy: Envoy;
  #waited = 0;

  constructor(envoy: Envoy) {
    this.#envoy = envoy;
  }

  of(key: string): Told {
    return this.counts.get(key) ?? {};
  }

  /** Answers every report that is under way, and those that follow from the answers. @param status an empty one: no answer comes */
  answer(status = '204'): void {
    const { reports } = this.#envoy.process;
    for (let report = reports.shift(); report !== undefined; report = reports.shift()) {
      this.taken.push({ at: Number(this.#envoy.process.nowNs) / 1e6, report });
      if (status === '204') this.#take(report);
      const headers: [string, string][] = [
        [':status', status],
        ['x-hfi-replica', this.replica],
      ];
      report.vm.answer(report, status === '' ? [] : headers);
    }
  }

  /** Lets the time go on, and answers every report meanwhile, and a poll now and then, so that the lease holds. */
  during(ms: number, status?: string): void {
    for (let passed = 0; passed < ms; passed += 10) {
      this.#envoy.process.advance(10);
      this.answer(status);
      this.#waited += 10;
      if (this.#waited >= HOLD_MS) this.#answerPoll();
    }
  }

  #answerPoll(): void {
    this.#waited = 0;
    const poll = this.#envoy.process.takeCall();
    this.#envoy.process.calls.length = 0;
    if (poll !== undefined) this.#envoy.unchanged(poll);
  }

  #take(report: Call): void {
    for (const [key, counts] of Object.entries(told(report))) {
      const known = this.counts.get(key) ?? {};
      for (const [name, value] of Object.entries(counts)) known[name] = Math.max(known[name] ?? 0, value);
      this.counts.set(key, known);
    }
  }
}
