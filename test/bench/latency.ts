import { Processes, pinSelf, unpinSelf } from '../support/processes.ts';
import { hfiFilter, startProxy, wasmFilter } from './envoy.ts';
import { buildModules } from './filters.ts';
import { type Connection, drive, driveAtRate, openMany } from './load.ts';
import { atMost, differenceOfLaunches, type Row, row } from './rows.ts';
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
  readonly variant: Variant;
  readonly port: number;
  readonly single: readonly Connection[];
}

/** By variant, launch and round. */
type Measured = ReadonlyMap<Variant, number[][]>;

export async function latencyRows({ short, say }: Settings): Promise<Row[]> {
  const server = await RulesetServer.start(
    new Map([
      ['idle', rulesetOf([])],
      ['10-rules', rulesetOf(rulesThatMiss(10))],
    ]),
  );
  /** Milliseconds. */
  const p99: Measured = new Map(VARIANTS.map((variant) => [variant, []]));
  /** Microseconds a request on one connection. */
  const taken: Measured = new Map(VARIANTS.map((variant) => [variant, []]));
  try {
    const [launches, rounds, count] = short ? [1, 3, 500] : [6, 5, 1000];
    for (let launch = 0; launch < launches; launch++) {
      say(`latency: launch ${launch + 1} of ${launches}`);
      const processes = await Processes.begin();
      try {
        const runners = await start(processes, server);
        for (const measured of [p99, taken]) for (const variant of VARIANTS) measured.get(variant)?.push([]);
        pinSelf(1);
        for (let i = 0; i < rounds; i++) {
          for (const { variant, port, single } of (launch + i) % 2 === 0 ? runners : [...runners].reverse()) {
            const times = await driveAtRate(port, PER_SECOND, count, CONNECTIONS);
            p99.get(variant)?.at(-1)?.push(quantile(times, 0.99));
            const from = performance.now();
            await drive(single, count * 3);
            taken
              .get(variant)
              ?.at(-1)
              ?.push(((performance.now() - from) * 1000) / (count * 3));
          }
        }
      } finally {
        unpinSelf();
        await processes.end();
      }
    }
    return [...p99Rows(p99), ...throughputRows(taken)];
  } finally {
    server.stop();
  }
}

async function start(processes: Processes, server: RulesetServer): Promise<Runner[]> {
  const modules = await buildModules(processes.folder);
  server.forget();
  const hfi = [hfiFilter(modules.hfi, 'bench')];
  const filters: Record<Variant, object[]> = { none: [], empty: [wasmFilter(modules.empty)], idle: hfi, '10 rules': hfi };
  const runners: Runner[] = [];
  for (const variant of VARIANTS) {
    const options = { name: variant.replaceAll(' ', '-'), filters: filters[variant], controlPlanePort: server.port, core: 0 };
    const { port } = await startProxy(processes, options);
    runners.push({ variant, port, single: await openMany(port, 1) });
  }
  for (const workload of ['idle', '10-rules']) await server.inForce(workload);
  return runners;
}

function typical(of: Measured, variant: Variant): number {
  return median((of.get(variant) ?? []).map(median));
}

function p99Rows(of: Measured): Row[] {
  return VARIANTS.slice(1).map((variant) => {
    const { value, interval } = differenceOfLaunches(of.get(variant) ?? [], of.get('none') ?? []);
    return row(`latency: p99 at ${PER_SECOND}/s, ${variant}, over no filter`, 'ms', value, interval, {
      peer: 'no filter',
      peerValue: typical(of, 'none'),
      ...(variant !== 'empty' && { bar: '<= 0.1', holds: atMost(value, interval, 0.1) }),
    });
  });
}

/** What is lost beside no filter at all, and beside the empty one, which is the least that any filter of this kind loses. */
function throughputRows(of: Measured): Row[] {
  const lost = (variant: Variant, base: Variant, judged: boolean): Row => {
    const without = typical(of, base);
    const { value, interval } = differenceOfLaunches(of.get(variant) ?? [], of.get(base) ?? []);
    const percent = (us: number): number => (us / (without + us)) * 100;
    const range = { low: percent(interval.low), high: percent(interval.high) };
    return row(`throughput: lost on 1 connection, ${variant}, over ${base}`, '%', percent(value), range, {
      peer: `${base}, µs/request`,
      peerValue: without,
      ...(judged && { bar: '<= 1', holds: atMost(percent(value), range, 1) }),
    });
  };
  return [lost('empty', 'none', false), lost('idle', 'none', true), lost('10 rules', 'none', true), lost('idle', 'empty', false)];
}
