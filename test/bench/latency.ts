import { Processes, pinSelf, unpinSelf } from '../support/processes.ts';
import { hfiFilter, startProxy, wasmFilter } from './envoy.ts';
import { buildModules } from './filters.ts';
import { type Connection, drive, driveAtRate, openMany } from './load.ts';
import { atMost, difference, type Row, row } from './rows.ts';
import { RulesetServer } from './ruleset-server.ts';
import { rulesetOf, rulesThatMiss } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { median, quantile } from './statistics.ts';

/** What a client notices of a filter that does nothing to it: the slowest of its requests at a steady rate, and how many it can make one after the other. */

const PER_SECOND = 1000;
const CONNECTIONS = 50;
const VARIANTS = ['none', 'empty', 'idle', '10 rules'] as const;
type Variant = (typeof VARIANTS)[number];

interface Runner {
  readonly port: number;
  readonly single: readonly Connection[];
  /** Milliseconds, one figure a round. */
  readonly p99: number[];
  /** Microseconds a request on one connection, one figure a round. */
  readonly taken: number[];
}

export async function latencyRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  const server = await RulesetServer.start(
    new Map([
      ['idle', rulesetOf([])],
      ['10-rules', rulesetOf(rulesThatMiss(10))],
    ]),
  );
  try {
    const modules = await buildModules(processes.folder);
    const hfi = [hfiFilter(modules.hfi, 'bench')];
    const filters: Record<Variant, object[]> = { none: [], empty: [wasmFilter(modules.empty)], idle: hfi, '10 rules': hfi };
    const runners = new Map<Variant, Runner>();
    for (const variant of VARIANTS) {
      const { port } = await startProxy(processes, {
        name: variant.replaceAll(' ', '-'),
        filters: filters[variant],
        controlPlanePort: server.port,
        core: 0,
      });
      runners.set(variant, { port, single: await openMany(port, 1), p99: [], taken: [] });
    }
    for (const workload of ['idle', '10-rules']) await server.inForce(workload);
    pinSelf(1);
    const rounds = short ? 3 : 31;
    const count = short ? 500 : 1000;
    for (let i = 0; i < rounds; i++) {
      if (i % 10 === 0) say(`latency: round ${i + 1} of ${rounds}`);
      const order = [...runners.values()];
      for (const runner of i % 2 === 0 ? order : order.reverse()) await round(runner, count);
    }
    return judge(runners);
  } finally {
    unpinSelf();
    server.stop();
    await processes.end();
  }
}

async function round({ port, single, p99, taken }: Runner, count: number): Promise<void> {
  p99.push(quantile(await driveAtRate(port, PER_SECOND, count, CONNECTIONS), 0.99));
  const from = performance.now();
  await drive(single, count * 3);
  taken.push(((performance.now() - from) * 1000) / (count * 3));
}

function judge(runners: ReadonlyMap<Variant, Runner>): Row[] {
  const of = (variant: Variant, what: 'p99' | 'taken'): number[] => runners.get(variant)?.[what] ?? [];
  const rows: Row[] = [];
  for (const variant of VARIANTS.slice(1)) {
    const { value, interval } = difference(of(variant, 'p99'), of('none', 'p99'));
    rows.push(
      row(`latency: p99 at ${PER_SECOND}/s, ${variant}, over no filter`, 'ms', value, interval, {
        peer: 'no filter',
        peerValue: median(of('none', 'p99')),
        ...(variant !== 'empty' && { bar: '<= 0.1', holds: atMost(value, interval, 0.1) }),
      }),
    );
  }
  for (const variant of VARIANTS.slice(1)) {
    const without = median(of('none', 'taken'));
    const { value, interval } = difference(of(variant, 'taken'), of('none', 'taken'));
    const percent = (us: number): number => (us / (without + us)) * 100;
    const share = { low: percent(interval.low), high: percent(interval.high) };
    rows.push(
      row(`throughput: lost on 1 connection, ${variant}`, '%', percent(value), share, {
        peer: 'no filter, µs/request',
        peerValue: without,
        ...(variant !== 'empty' && { bar: '<= 1', holds: atMost(percent(value), share, 1) }),
      }),
    );
  }
  return rows;
}
