import { stat } from 'node:fs/promises';
import { rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { headerPairs } from '../../services/control-plane/ruleset/header-pairs.ts';
import { Processes } from '../support/processes.ts';
import { buildModules } from './filters.ts';
import { REQUEST_HEADERS } from './load.ts';
import { extremes, type Row, row } from './rows.ts';
import { regexesThatMiss, rulesetOf, rulesThatMiss } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { WasmModule } from './wasm-module.ts';

/** The rows that no noise of the machine can move: what the module asks of the host, how big it is, how long it computes. */

/** The headers of a request of the benchmarks, as the host hands them over. */
export const PAIRS = headerPairs([
  [':method', 'GET'],
  [':path', '/api/orders/42'],
  [':authority', 'bench.local'],
  ...REQUEST_HEADERS.slice(0, 7).map(([name, value]): [string, string] => [name, value]),
]);

export async function exactRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  try {
    say('exact: host calls, size, time in V8');
    const { hfi } = await buildModules(processes.folder);
    const { size } = await stat(hfi);
    return [
      ...(await hostCalls(hfi)),
      ...(await moduleTimes(hfi, short)),
      await regexByteRow(hfi, short),
      row('size: Wasm module', 'bytes', size, { low: size, high: size }, { bar: '<= 40000', holds: size <= 40_000 }),
      await memoryRow(hfi),
    ];
  } finally {
    await processes.end();
  }
}

async function loaded(path: string, ruleset: Uint8Array): Promise<WasmModule> {
  const module = await WasmModule.start(path, PAIRS);
  module.take(ruleset, rulesetVersion(ruleset));
  return module;
}

async function hostCalls(path: string): Promise<Row[]> {
  const fault = { abort: { httpStatus: 503 } };
  const cases = [
    { name: 'no rule for this proxy', rules: [], reads: 0, clock: 0 },
    { name: 'dice lost', rules: [{ fault: { ...fault, percentage: 0 } }], reads: 0, clock: 0 },
    { name: 'a rule that could fire', rules: [{ match: { path: { exact: '/other' } }, fault }], reads: 1, clock: 1 },
  ];
  const rows: Row[] = [];
  for (const { name, rules, reads, clock } of cases) {
    const module = await loaded(path, rulesetOf(rules));
    const before = { ...module.counts };
    const requests = 1000;
    for (let i = 0; i < requests; i++) if (module.request() !== 0) throw new Error(`${name}: a request was faulted`);
    const per = (key: keyof typeof before): number => (module.counts[key] - before[key]) / requests;
    const calls = per('calls');
    const other = calls - per('headerReads') - per('clockReads');
    rows.push(
      row(
        `host calls: ${name}`,
        'calls/request',
        calls,
        { low: calls, high: calls },
        {
          bar: reads === 0 ? '0' : '1 header read + clock',
          // Reading nothing where a rule could fire would mean that no ruleset is in force and nothing was measured.
          holds: per('headerReads') === reads && per('clockReads') <= clock && other === 0,
        },
      ),
      row(
        `bytes copied from the host: ${name}`,
        'bytes/request',
        per('copied'),
        { low: per('copied'), high: per('copied') },
        {
          peer: 'all headers',
          peerValue: PAIRS.length,
          bar: `${reads} x`,
          holds: per('copied') === reads * PAIRS.length,
        },
      ),
    );
  }
  return rows;
}

/** What a request's match costs: the ruleset, and what it may cost, in ns or in proportion to the one with 10 rules. */
const RULESETS: readonly { name: string; rules: () => Uint8Array; ns?: number; times?: number }[] = [
  { name: 'no rule', rules: () => rulesetOf([]), ns: 30 },
  { name: '10 rules', rules: () => rulesetOf(rulesThatMiss(10)), ns: 400 },
  { name: '1000 rules', rules: () => rulesetOf(rulesThatMiss(1000)), times: 1.2 },
  { name: '10,000 rules', rules: () => rulesetOf(rulesThatMiss(10_000)), times: 1.2 },
  { name: '100 regexes on the path', rules: () => rulesetOf(regexesThatMiss(100)), times: 1.5 },
];

async function moduleTimes(path: string, short: boolean): Promise<Row[]> {
  const modules = await Promise.all(RULESETS.map(({ rules }) => loaded(path, rules())));
  const rounds = short ? 20 : 200;
  const requests = 20_000;
  const times: number[][] = RULESETS.map(() => []);
  for (let i = 0; i < rounds; i++) {
    const order = modules.map((_, k) => (i % 2 === 0 ? k : modules.length - 1 - k));
    for (const k of order) {
      const module = modules[k];
      if (module === undefined) continue;
      const from = process.hrtime.bigint();
      for (let n = 0; n < requests; n++) module.request();
      times[k]?.push(Number(process.hrtime.bigint() - from) / requests);
    }
  }
  const best = times.map((all) => Math.min(...all));
  const [, ten = 0] = best;
  return RULESETS.map(({ name, ns, times: most = 1 }, k) => {
    const value = best[k] ?? Number.NaN;
    return row(`module's time in V8: ${name}`, 'ns/request', value, extremes(times[k] ?? []), {
      ...(ns === undefined && { peer: '10 rules', peerValue: ten }),
      bar: ns === undefined ? `<= ${most} x` : `<= ${ns}`,
      holds: value <= (ns ?? most * ten),
    });
  });
}

/** What one byte of a text more costs an expression that has to look at all of it. */
async function regexByteRow(path: string, short: boolean): Promise<Row> {
  const fault = { abort: { httpStatus: 503 } };
  const ruleset = rulesetOf([{ match: { headers: [{ name: 'x-long', regex: '[a-z0-9/]*(x|y)Z' }] }, fault }]);
  const withText = async (length: number): Promise<WasmModule> => {
    const module = await WasmModule.start(
      path,
      headerPairs([
        [':path', '/'],
        ['x-long', 'abc/0123/'.repeat(length / 9)],
      ]),
    );
    module.take(ruleset, rulesetVersion(ruleset));
    return module;
  };
  const [shorter, longer] = [90, 9000];
  const modules = await Promise.all([withText(shorter), withText(longer)]);
  const perByte: number[] = [];
  const once = (module: WasmModule | undefined): number => {
    const from = process.hrtime.bigint();
    for (let n = 0; n < 1000; n++) module?.request();
    return Number(process.hrtime.bigint() - from) / 1000;
  };
  for (let i = 0; i < (short ? 10 : 60); i++) perByte.push((once(modules[1]) - once(modules[0])) / (longer - shorter));
  const value = Math.min(...perByte);
  return row("regex: module's time in V8 a byte", 'ns/byte', value, extremes(perByte), { bar: '<= 4', holds: value <= 4 });
}

async function memoryRow(path: string): Promise<Row> {
  const module = await loaded(path, rulesetOf(rulesThatMiss(1000)));
  for (let i = 0; i < 1000; i++) module.request();
  const bytes = module.memory.buffer.byteLength;
  return row(
    'memory: a VM with 1000 rules',
    'bytes',
    bytes,
    { low: bytes, high: bytes },
    { bar: '<= 1048576', holds: bytes <= 1024 * 1024 },
  );
}
