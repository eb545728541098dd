import { HEADER_TIME } from '../../../filter/assembly/protocol.ts';
import type { Call } from '../../../filter/host/abi.ts';
import { pairs } from '../../../filter/host/header-pairs.ts';
import { Process } from '../../../filter/host/process.ts';
import { Vm } from '../../../filter/host/vm.ts';
import type { Direction } from '../../policy/schema.ts';
import { rulesetVersion } from '../ruleset/compile.ts';
import type { Asked } from './request.ts';

/** What the filter reports of one rule: how often it did what, by the counters' names. */
export type Report = ReadonlyMap<string, Readonly<Record<string, number>>>;

/** In virtual milliseconds: the filter polls and reports well within. */
const PATIENCE_MS = 5000;
const STEP_MS = 20;

/**
 * Sends one request through the filter's module with a ruleset in force, in an Envoy of its own that lives in virtual time, and
 * takes the report that the filter makes of it: what it would tell the control plane that it counted, rule by rule.
 *
 * @param now the control plane's clock, in milliseconds since the epoch
 * @returns by the rules' keys; a rule that didn't match isn't in it
 * @throws Error when the filter doesn't take the ruleset
 */
export function tried(module: WebAssembly.Module, ruleset: Uint8Array, asked: Asked, direction: Direction, now: number): Report {
  const envoy = new Process();
  for (const [name, value] of asked.properties) envoy.properties.set(name, value);
  const vm = new Vm(envoy, module);
  const root = vm.configure({ cluster: 'explain', direction });
  takeRuleset(envoy, ruleset, now);
  vm.request(root, pairs(asked.headers));
  return reported(envoy);
}

function takeRuleset(envoy: Process, ruleset: Uint8Array, now: number): void {
  const poll = awaited(envoy, envoy.calls);
  const version = rulesetVersion(ruleset);
  poll.vm.answer(
    poll,
    [
      [':status', '200'],
      ['etag', `"${version}"`],
      [HEADER_TIME, String(now)],
    ],
    ruleset,
  );
  // It is in force as soon as it is asked for again with it.
  const next = awaited(envoy, envoy.calls);
  if (next.headers['if-none-match']?.includes(version) !== true) {
    throw new Error(`the filter does not take the ruleset: ${envoy.logs.at(-1) ?? 'it does not say why'}`);
  }
}

/** All that is reported, over as many reports as it takes. */
function reported(envoy: Process): Report {
  const all = new Map<string, Record<string, number>>();
  for (let waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
    envoy.advance(STEP_MS);
    for (let report = envoy.reports.shift(); report !== undefined; report = envoy.reports.shift()) {
      const { rules } = JSON.parse(report.body) as { readonly rules: readonly ({ readonly key: string } & Record<string, number>)[] };
      for (const { key, ...counts } of rules) all.set(key, counts);
      report.vm.answer(report, [[':status', '204']]);
      if (envoy.reports.length === 0) return all;
    }
  }
  return all;
}

function awaited(envoy: Process, calls: Call[]): Call {
  for (let waited = 0; waited < PATIENCE_MS; waited += 1) {
    const call = calls.pop();
    if (call !== undefined) return call;
    envoy.advance(1);
  }
  throw new Error('the filter does not poll');
}
