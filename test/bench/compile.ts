import { setImmediate } from 'node:timers/promises';
import { Fleet } from '../../services/control-plane/fleet/fleet.ts';
import type { Hello } from '../../services/control-plane/fleet/proxy.ts';
import { type Applied, compileRuleset, rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import type { StoredPolicy } from '../../services/control-plane/store/store.ts';
import { compileRegex, RegexProblem } from '../../services/policy/regex/compile-regex.ts';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';
import { Processes } from '../support/processes.ts';
import { PAIRS } from './exact.ts';
import { buildModules } from './filters.ts';
import { extremes, type Row, row } from './rows.ts';
import { rulesetOf, rulesThatMiss } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { median } from './statistics.ts';
import { WasmModule } from './wasm-module.ts';

/** What becomes of policies before a request meets them: expressions and rulesets compiled, a ruleset loaded. */

const ROUNDS = 15;

export async function compileRows({ short, say }: Settings): Promise<Row[]> {
  say('compile: regular expressions, rulesets');
  const rounds = short ? 3 : ROUNDS;
  return [...regexRows(rounds), ...(await rulesetRows(rounds)), ...(await loadRows(rounds))];
}

function timed(rounds: number, run: (round: number) => void): number[] {
  return Array.from({ length: rounds }, (_, i) => {
    const from = process.hrtime.bigint();
    run(i);
    return Number(process.hrtime.bigint() - from) / 1e6;
  });
}

function judged(name: string, times: readonly number[], most: number): Row {
  const value = median(times);
  return row(name, 'ms', value, extremes([...times]), { bar: `<= ${most}`, holds: value <= most });
}

/** Expressions as people write them, each compiled anew: the number makes it another one. */
const EXPRESSIONS = [
  (i: number) => `/api/v[0-9]+/orders/${i}/.*`,
  (i: number) => `(?i)user-${i}-[a-z]{3,8}@example\\.(com|org)`,
  (i: number) => `/items/${i}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
  (i: number) => `.*(error|timeout|${i}).*`,
  (i: number) => `user-${i}/[\\p{Greek}\\p{N}_]+`,
];

const TOO_LARGE = [
  (i: number) => `[01]*1[01]{${20 + i}}`,
  (i: number) => `(?:a?){${500 + i}}a{500}\\pL{900}`,
  (i: number) => `(.*a.{12}|.*b.{13}|.*c.{${14 + i}})`,
];

function regexRows(rounds: number): Row[] {
  let number = 0;
  // The first of each is V8's, which compiles the compiler.
  for (const expression of EXPRESSIONS) for (let i = 0; i < 3; i++) compileRegex(expression(number++));
  const compiled = EXPRESSIONS.map((expression) => timed(rounds, () => void compileRegex(expression(number++))));
  const refused = TOO_LARGE.map((expression) =>
    timed(Math.min(rounds, 10), (i) => {
      try {
        compileRegex(expression(i));
      } catch (error) {
        if (error instanceof RegexProblem) return;
      }
      throw new Error('an expression that is too large was taken');
    }),
  );
  return [
    judged('regex: compiled, the slowest of five', slowest(compiled), 5),
    judged('regex: refused as too large, the slowest of three', slowest(refused), 50),
  ];
}

/** The times of the expression whose median is the largest. */
function slowest(all: readonly number[][]): number[] {
  return all.reduce((worst, times) => (median(times) > median(worst) ? times : worst));
}

function policies(count: number): Applied[] {
  const now = Date.now();
  const [rule] = rulesThatMiss(1);
  return Array.from({ length: count }, (_, i) => {
    const spec = {
      selector: { service: `service-${i}` },
      rules: [{ ...rule, match: { path: { prefix: `/api/${i}/` } } }],
    } as PolicyInput['spec'];
    return { policy: policy.parse({ metadata: { name: `p-${i}` }, spec }), appliedAt: now };
  });
}

async function rulesetRows(rounds: number): Promise<Row[]> {
  const thousand = policies(1000);
  return [
    judged(
      'compile: 1000 policies into one ruleset',
      timed(rounds, () => void compileRuleset(thousand, Date.now())),
      200,
    ),
    judged('compile: one of 10,000 policies changed, 200 proxies', await changesOfOne(rounds), 10),
  ];
}

const PROXIES = 200;

/** A policy for each of 10,000 services, and a proxy of each of the first: one policy after the other is changed. Only its proxy may wake. */
async function changesOfOne(rounds: number): Promise<number[]> {
  const fleet = new Fleet({
    runtime: systemRuntime,
    fresh: () => true,
    halted: () => false,
    measureCompile: () => {},
    woken: () => {},
    ended: () => {},
  });
  const stored = policies(10_000).map((one): StoredPolicy => ({ ...one, createdAt: one.appliedAt, revision: 1, lease: '0' }));
  fleet.change(stored.map((after) => ({ name: after.policy.metadata.name, before: undefined, after })));
  const woken = new Set<number>();
  const poll = async (i: number, has: string): Promise<void> => {
    const answer = await fleet.poll(helloOf(i, has), 60_000, new AbortController().signal);
    if (answer.kind !== 'ruleset') return;
    woken.add(i);
    void poll(i, answer.ruleset.version);
  };
  for (let i = 0; i < PROXIES; i++) void poll(i, '');
  await setImmediate();
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const number = round % PROXIES;
    const before = stored[number];
    if (before === undefined) throw new Error('there are fewer policies than that');
    const rules = before.policy.spec.rules.map((rule) => ({ ...rule, fault: { ...rule.fault, percentage: 50 - round / 10 } }));
    const after = { ...before, revision: 2, policy: { ...before.policy, spec: { ...before.policy.spec, rules } } };
    woken.clear();
    times.push(...timed(1, () => fleet.change([{ name: before.policy.metadata.name, before, after }])));
    await setImmediate();
    if (woken.size !== 1 || !woken.has(number)) throw new Error(`${[...woken].join(', ') || 'nobody'} woke, not ${number}`);
  }
  fleet.stop();
  return times;
}

function helloOf(i: number, has: string): Hello {
  const identity = { namespace: 'demo', workload: `w-${i}`, labels: { app: `service-${i}` } };
  const well = { refused: null, unreadable: [], pollFailures: 0, filter: 'bench', vms: 1, leaseMs: 60_000, layoutFits: true };
  return { name: `proxy-${i}`, ...identity, ...well, acknowledged: has, has };
}

async function loadRows(rounds: number): Promise<Row[]> {
  const processes = await Processes.begin();
  try {
    const { hfi } = await buildModules(processes.folder);
    const ruleset = rulesetOf(rulesThatMiss(10_000));
    const other = rulesetOf(rulesThatMiss(9_999));
    const module = await WasmModule.start(hfi, PAIRS);
    const versions = [rulesetVersion(ruleset), rulesetVersion(other)];
    const takes = (round: number) => module.take(round % 2 === 0 ? ruleset : other, versions[round % 2] ?? '');
    const first = takes(0);
    const later = Array.from({ length: rounds }, (_, i) => takes(i + 1));
    const longest = [first, ...later].map(({ longest }) => longest);
    const size = ruleset.length;
    return [
      row('ruleset: 10,000 rules', 'bytes', size, { low: size, high: size }, { bar: '<= 2097152', holds: size <= 2 * 1024 * 1024 }),
      judged('ruleset: 10,000 rules, the first that a VM loads', [first.all], 20),
      judged(
        'ruleset: 10,000 rules, loaded in a VM',
        later.map(({ all }) => all),
        20,
      ),
      row('ruleset: 10,000 rules, longest at once', 'ms', Math.max(...longest), extremes(longest), {
        bar: '<= 2',
        holds: Math.max(...longest) <= 2,
      }),
    ];
  } finally {
    await processes.end();
  }
}
