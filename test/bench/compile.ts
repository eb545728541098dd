import { type Applied, compileRuleset, rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { compileRegex, RegexProblem } from '../../services/policy/regex/compile-regex.ts';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';
import { selects } from '../../services/policy/selector.ts';
import { Processes } from '../support/processes.ts';
import { PAIRS } from './exact.ts';
import { buildModules } from './filters.ts';
import { extremes, type Row, row } from './rows.ts';
import { rulesetOf, rulesThatMiss } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { WasmModule } from './wasm-module.ts';

/** What becomes of policies before a request meets them: expressions and rulesets compiled, a ruleset loaded. */

const ROUNDS = 15;

export async function compileRows({ short, say }: Settings): Promise<Row[]> {
  say('compile: regular expressions, rulesets');
  const rounds = short ? 3 : ROUNDS;
  return [...regexRows(rounds), ...rulesetRows(rounds), ...(await loadRows(rounds))];
}

function timed(rounds: number, run: (round: number) => void): number[] {
  return Array.from({ length: rounds }, (_, i) => {
    const from = process.hrtime.bigint();
    run(i);
    return Number(process.hrtime.bigint() - from) / 1e6;
  });
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

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

function rulesetRows(rounds: number): Row[] {
  const thousand = policies(1000);
  const all = policies(10_000);
  const proxy = { namespace: 'demo', workload: 'w', labels: { app: 'service-5000' } };
  const of = (): Uint8Array =>
    compileRuleset(
      all.filter(({ policy: one }) => selects(one.spec.selector, proxy)),
      Date.now(),
    );
  const before = rulesetVersion(of());
  const changed = timed(rounds, (i) => {
    const one = all[5000];
    if (one === undefined) throw new Error('there are fewer policies than that');
    all[5000] = { ...one, appliedAt: one.appliedAt + i, policy: { ...one.policy, spec: { ...one.policy.spec, priority: i } } };
    of();
  });
  if (
    rulesetVersion(
      compileRuleset(
        all.filter(({ policy: one }) => selects(one.spec.selector, { ...proxy, labels: { app: 'service-1' } })),
        0,
      ),
    ) === before
  ) {
    throw new Error('another proxy has the same rules');
  }
  return [
    judged(
      'compile: 1000 policies into one ruleset',
      timed(rounds, () => void compileRuleset(thousand, Date.now())),
      200,
    ),
    judged('compile: a proxy of the one changed among 10,000 policies', changed, 10),
  ];
}

async function loadRows(rounds: number): Promise<Row[]> {
  const processes = await Processes.begin();
  try {
    const { hfi } = await buildModules(processes.folder);
    const ruleset = rulesetOf(rulesThatMiss(10_000));
    const other = rulesetOf(rulesThatMiss(9_999));
    const module = await WasmModule.start(hfi, PAIRS);
    const times = timed(rounds, (i) => {
      const bytes = i % 2 === 0 ? ruleset : other;
      module.take(bytes, rulesetVersion(bytes));
    });
    const size = ruleset.length;
    return [
      row('ruleset: 10,000 rules', 'bytes', size, { low: size, high: size }, { bar: '<= 2097152', holds: size <= 2 * 1024 * 1024 }),
      judged('ruleset: 10,000 rules, loaded in a VM at once', times, 2),
    ];
  } finally {
    await processes.end();
  }
}
