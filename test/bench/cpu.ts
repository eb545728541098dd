import { Processes, pinSelf, processorTime, residentMemory, unpinSelf } from '../support/processes.ts';
import { hfiFilter, luaAbort, nativeAbort, type RunningProxy, startProxy, wasmFilter } from './envoy.ts';
import { buildModules, type Modules } from './filters.ts';
import { type Connection, drive, LARGE_REQUEST, openMany } from './load.ts';
import { atMost, type Difference, differenceOfLaunches, extremes, type Row, row } from './rows.ts';
import { RulesetServer } from './ruleset-server.ts';
import { inSomeRequests, regexesThatMiss, rulesetOf, rulesThatMiss } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { median } from './statistics.ts';

/**
 * Processor time of Envoy per request, with each variant in an Envoy of its own, all of them in turn in each round; and what each takes of
 * memory. An Envoy lies in memory as it does for as long as it runs, which alone makes up to 2 µs: so all are started anew several times.
 */

const REQUESTS = 5000;
const CONNECTIONS = 8;

const RULESETS = {
  'no rule': () => rulesetOf([]),
  'dice lost': () => rulesetOf(inSomeRequests(rulesThatMiss(10), 1)),
  '10 rules': () => rulesetOf(rulesThatMiss(10)),
  '10,000 rules': () => rulesetOf(rulesThatMiss(10_000)),
  '100 regexes': () => rulesetOf(regexesThatMiss(100)),
  '20 rules, large': () => rulesetOf(rulesThatMiss(20)),
};

/** The filters of each variant. Those called large get requests with headers of 100 bytes. */
const VARIANTS = {
  none: () => [],
  empty: ({ empty }: Modules) => [wasmFilter(empty)],
  'every callback': ({ everyCallback }: Modules) => [wasmFilter(everyCallback)],
  'headers read': ({ reading }: Modules) => [wasmFilter(reading)],
  'every callback, headers read': ({ everyCallbackReading }: Modules) => [wasmFilter(everyCallbackReading)],
  'no rule': hfi,
  'dice lost': hfi,
  '10 rules': hfi,
  '10,000 rules': hfi,
  '100 regexes': hfi,
  native: () => [nativeAbort('nobody')],
  lua: () => [luaAbort('nobody')],
  'none, large': () => [],
  'every callback, headers read, large': ({ everyCallbackReading }: Modules) => [wasmFilter(everyCallbackReading)],
  '20 rules, large': hfi,
  'native, large': () => [nativeAbort('nobody')],
  'lua, large': () => [luaAbort('nobody')],
} satisfies Record<string, (modules: Modules) => object[]>;
type Variant = keyof typeof VARIANTS;
const NAMES = Object.keys(VARIANTS) as Variant[];

function hfi(modules: Modules): object[] {
  return [hfiFilter(modules.hfi, 'bench')];
}

function isLarge(variant: Variant): boolean {
  return variant.endsWith(', large');
}

/** Also the workload's name. */
function proxyName(variant: string): string {
  return variant.replaceAll(/[^a-z0-9]+/g, '-');
}

interface Runner {
  readonly variant: Variant;
  readonly proxy: RunningProxy;
  readonly connections: readonly Connection[];
  /** Microseconds of processor time per request, one figure a round. */
  readonly rounds: number[];
}

/** Microseconds of processor time per request, by variant, launch and round. */
type Measured = ReadonlyMap<Variant, number[][]>;

export async function cpuRows({ short, say }: Settings): Promise<Row[]> {
  const rulesets = new Map(Object.entries(RULESETS).map(([name, ruleset]) => [proxyName(name), ruleset()]));
  const server = await RulesetServer.start(rulesets);
  const measured: Measured = new Map(NAMES.map((variant) => [variant, []]));
  let memory: Row[] = [];
  try {
    const [launches, rounds] = short ? [1, 7] : [7, 11];
    for (let launch = 0; launch < launches; launch++) {
      say(`processor time: launch ${launch + 1} of ${launches}`);
      const processes = await Processes.begin();
      try {
        const runners = await start(processes, server, [...rulesets.keys()]);
        pinSelf(1);
        for (const runner of runners) await round(runner, false);
        for (let i = 0; i < rounds; i++) {
          for (const runner of (launch + i) % 2 === 0 ? runners : [...runners].reverse()) await round(runner, true);
        }
        for (const { variant, rounds } of runners) measured.get(variant)?.push(rounds);
        memory = [memoryRow(new Map(runners.map(({ variant, proxy }) => [variant, residentMemory(proxy.pid) / 1e6])))];
      } finally {
        unpinSelf();
        await processes.end();
      }
    }
    return [...judge(measured), ...memory];
  } finally {
    server.stop();
  }
}

async function start(processes: Processes, server: RulesetServer, workloads: readonly string[]): Promise<Runner[]> {
  const modules = await buildModules(processes.folder);
  server.forget();
  const runners: Runner[] = [];
  for (const variant of NAMES) {
    const filters = VARIANTS[variant](modules);
    const proxy = await startProxy(processes, { name: proxyName(variant), filters, controlPlanePort: server.port, core: 0 });
    const connections = await openMany(proxy.port, CONNECTIONS, isLarge(variant) ? LARGE_REQUEST : undefined);
    runners.push({ variant, proxy, connections, rounds: [] });
  }
  for (const workload of workloads) await server.inForce(workload);
  return runners;
}

async function round({ variant, proxy, connections, rounds }: Runner, counts: boolean): Promise<void> {
  const before = processorTime(proxy.pid);
  const statuses = await drive(connections, REQUESTS);
  const after = processorTime(proxy.pid);
  if (statuses.get(200) !== REQUESTS) throw new Error(`${variant}: not every request was let through: ${JSON.stringify([...statuses])}`);
  if (counts) rounds.push((after - before) / REQUESTS / 1000);
}

/** What the filter adds to the memory of a proxy that has had its requests; most of it is V8's own, as the empty filter shows. */
function memoryRow(of: ReadonlyMap<Variant, number>): Row {
  const over = (variant: Variant): number => (of.get(variant) ?? 0) - (of.get('none') ?? 0);
  const value = over('10 rules');
  const interval = { low: Math.min(over('no rule'), value), high: Math.max(over('10,000 rules'), value) };
  return row('memory: 10 rules (none to 10,000), over no filter', 'MB', value, interval, {
    peer: 'empty filter',
    peerValue: over('empty'),
    bar: '<= 25',
    holds: value <= 25,
  });
}

function judge(measured: Measured): Row[] {
  const of = (variant: Variant): number[][] => measured.get(variant) ?? [];
  const between = (variant: Variant, base: Variant): Difference => differenceOfLaunches(of(variant), of(base));
  const typical = (variant: Variant): number => median(of(variant).map(median));
  const over = (variant: Variant, base: Variant, limit?: number): Row => {
    const { value, interval } = between(variant, base);
    const bar = limit === undefined ? {} : { bar: `<= ${limit}`, holds: atMost(value, interval, limit) };
    return row(`cpu: ${variant}, over ${base}`, 'µs/request', value, interval, { peer: base, peerValue: typical(base), ...bar });
  };
  // What rules cost is what they add to the proxy without a filter.
  const ten = between('10 rules', 'none').value;
  const besideTen = (variant: Variant, times: number): Row => {
    const { value, interval } = between(variant, 'none');
    return row(`cpu: ${variant} beside 10 rules`, 'µs/request', value, interval, {
      peer: '10 rules',
      peerValue: ten,
      bar: `<= ${times} x`,
      holds: atMost(value, interval, times * ten),
    });
  };
  return [
    row('cpu: no filter', 'µs/request', typical('none'), extremes(of('none').map(median))),
    ...NAMES.filter((variant) => !variant.startsWith('none')).map((variant) => over(variant, isLarge(variant) ? 'none, large' : 'none')),
    over('no rule', 'empty', 0.3),
    over('no rule', 'every callback'),
    over('dice lost', 'empty', 0.5),
    over('dice lost', 'every callback'),
    over('10 rules', 'empty', 2),
    over('10 rules', 'every callback, headers read'),
    besideTen('10,000 rules', 1.2),
    besideTen('100 regexes', 1.5),
    over('20 rules, large', 'lua, large', 0),
    over('20 rules, large', 'every callback, headers read, large'),
  ];
}
