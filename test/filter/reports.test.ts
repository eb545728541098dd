import assert from 'node:assert/strict';
import { keyText, ruleKey, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import type { Call } from '../support/wasm-host.ts';
import { Envoy, made } from './envoy.ts';

const abort = { abort: { httpStatus: 503 } };

/** The key of a policy's rule as a report has it. */
export const keyOf = (policy: string, rule: number, appliedAt: number): string => keyText(ruleKey(runKey(policy, appliedAt), rule));

type Reported = Readonly<Record<string, number>>;

/** What a report says, by key. */
function told(call: Call): Record<string, Reported> {
  const { rules } = JSON.parse(call.body) as { rules: ({ key: string } & Record<string, number>)[] };
  return Object.fromEntries(rules.map(({ key, ...counts }) => [key, counts]));
}

/** The control plane's side: takes the reports that are under way, and answers them. */
class Reader {
  readonly counts = new Map<string, Record<string, number>>();
  reports = 0;
  replica = 'aaaaaaaaaaaaaaaa';
  readonly #envoy: Envoy;

  constructor(envoy: Envoy) {
    this.#envoy = envoy;
  }

  take(status = '200'): number {
    let taken = 0;
    for (let call = this.#envoy.process.reports.shift(); call !== undefined; call = this.#envoy.process.reports.shift()) {
      taken++;
      this.reports++;
      if (status === '200') {
        for (const [key, counts] of Object.entries(told(call))) {
          const known = this.counts.get(key) ?? {};
          for (const [name, value] of Object.entries(counts)) known[name] = Math.max(known[name] ?? 0, value);
          this.counts.set(key, known);
        }
      }
      call.vm.answer(call, [
        [':status', status],
        ['x-hfi-replica', this.replica],
      ]);
    }
    return taken;
  }

  /** Lets the time go on, and takes every report meanwhile. */
  during(ms: number, status?: string): number {
    let taken = 0;
    for (let passed = 0; passed < ms; passed += 10) {
      this.#envoy.process.advance(10);
      taken += this.take(status);
    }
    return taken;
  }
}

describe('filter: reports', () => {
  it('tells who it is, of which epoch, and what it counted of each rule', () => {
    const envoy = new Envoy();
    const appliedAt = Math.round(envoy.now);
    envoy.serve([made('p', { rules: [{ match: { path: { exact: '/a' } }, fault: abort }, { fault: { ...abort, percentage: 0.0001 } }] })]);
    for (let i = 0; i < 3; i++) envoy.request([[':path', '/a']]);
    envoy.process.advance(2000);
    const [report] = envoy.process.reports;
    assert.ok(report);
    assert.deepEqual(told(report), { [keyOf('p', 0, appliedAt)]: { injected: 3, abort: 3 } });
  });
});
