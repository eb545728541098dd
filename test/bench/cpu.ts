import { Processes, pinSelf, processorTime, residentMemory, unpinSelf } from '../support/processes.ts';
import { hfiFilter, luaAbort, nativeAbort, type RunningProxy, startProxy, wasmFilter } from './envoy.ts';
import { buildModules } from './filters.ts';
import { type Connection, drive, openMany } from './load.ts';
import { atMost, difference, extremes, type Row, row } from './rows.ts';
import { RulesetServer } from './ruleset-server.ts';
import { rulesetOf, rulesThatMiss } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { median } from './statistics.ts';

/** Processor time of Envoy per request, with each variant in an Envoy of its own, all of them in turn in each round; and what each takes of memory. */

const REQUESTS = 5000;
const CONNECTIONS = 8;
const VARIANTS = ['none', 'empty', 'one header read', 'no rule', '10 rules', '1000 rules', 'native', 'lua'] as const;
type Variant = (typeof VARIANTS)[number];

interface Runner {
  readonly variant: Variant;
  readonly proxy: RunningProxy;
  readonly connections: readonly Connection[];
  /** Microseconds of processor time per request, one figure a round. */
  readonly rounds: number[];
}

export async function cpuRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  const rulesets = new Map([
    ['no-rule', rulesetOf([])],
    ['10-rules', rulesetOf(rulesThatMiss(10))],
    ['1000-rules', rulesetOf(rulesThatMiss(1000))],
  ]);
  const server = await RulesetServer.start(rulesets);
  try {
    const modules = await buildModules(processes.folder);
    const filters: Record<Variant, object[]> = {
      none: [],
      empty: [wasmFilter(modules.empty)],
      'one header read': [wasmFilter(modules.reading)],
      'no rule': [hfiFilter(modules.hfi, 'bench')],
      '10 rules': [hfiFilter(modules.hfi, 'bench')],
      '1000 rules': [hfiFilter(modules.hfi, 'bench')],
      native: [nativeAbort('nobody')],
      lua: [luaAbort('nobody')],
    };
    const runners: Runner[] = [];
    for (const variant of VARIANTS) {
      const proxy = await startProxy(processes, {
        name: variant.replaceAll(' ', '-'),
        filters: filters[variant],
        controlPlanePort: server.port,
        core: 0,
      });
      runners.push({ variant, proxy, connections: await openMany(proxy.port, CONNECTIONS), rounds: [] });
    }
    for (const workload of rulesets.keys()) await server.inForce(workload);
    pinSelf(1);
    const rounds = short ? 7 : 61;
    for (const runner of runners) await round(runner, false);
    for (let i = 0; i < rounds; i++) {
      if (i % 20 === 0) say(`processor time: round ${i + 1} of ${rounds}`);
      for (const runner of i % 2 === 0 ? runners : [...runners].reverse()) await round(runner, true);
    }
    const memory = memoryRow(new Map(runners.map(({ variant, proxy }) => [variant, residentMemory(proxy.pid) / 1e6])));
    return [...judge(new Map(runners.map(({ variant, rounds }) => [variant, rounds]))), memory];
  } finally {
    unpinSelf();
    server.stop();
    await processes.end();
  }
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
  const interval = { low: Math.min(over('no rule'), value), high: Math.max(over('1000 rules'), value) };
  return row('memory: 10 rules (none to 1000), over no filter', 'MB', value, interval, {
    peer: 'empty filter',
    peerValue: over('empty'),
    bar: '<= 25',
    holds: value <= 25,
  });
}

function judge(measured: ReadonlyMap<Variant, number[]>): Row[] {
  const of = (variant: Variant): number[] => measured.get(variant) ?? [];
  const none = of('none');
  const rows = [row('cpu: no filter', 'µs/request', median(none), extremes(none))];
  for (const variant of VARIANTS.slice(1)) {
    const { value, interval } = difference(of(variant), none);
    rows.push(row(`cpu: ${variant}, over no filter`, 'µs/request', value, interval, { peer: 'no filter', peerValue: median(none) }));
  }
  const over = (variant: Variant, limit: number): Row => {
    const { value, interval } = difference(of(variant), of('empty'));
    return row(`cpu: ${variant}, over the empty filter`, 'µs/request', value, interval, {
      peer: 'empty filter',
      peerValue: median(of('empty')),
      bar: `<= ${limit}`,
      holds: atMost(value, interval, limit),
    });
  };
  rows.push(over('no rule', 0.5), over('10 rules', 2.5));
  const beyond = difference(of('10 rules'), of('one header read'));
  rows.push(
    row('cpu: 10 rules, over a filter that only reads the headers', 'µs/request', beyond.value, beyond.interval, {
      peer: 'one header read',
      peerValue: median(of('one header read')),
    }),
  );
  // What 10 and 1,000 rules cost is what they add to the proxy without a filter.
  const ten = difference(of('10 rules'), none).value;
  const thousand = difference(of('1000 rules'), none);
  const limit = 1.3 * ten;
  const spread = thousand.interval.high - thousand.interval.low;
  rows.push(
    row('cpu: 1000 rules beside 10 rules', 'µs/request', thousand.value, thousand.interval, {
      peer: '10 rules',
      peerValue: ten,
      bar: '<= 1.3 x',
      // The room between 1 x and 1.3 x is what the interval must resolve.
      holds: spread > 2 * 0.3 * Math.abs(ten) ? 'undecided' : thousand.value <= limit,
    }),
  );
  return rows;
}
