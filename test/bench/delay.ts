import { Processes, pinSelf, unpinSelf } from '../support/processes.ts';
import { hfiFilter, nativeDelay, startProxy } from './envoy.ts';
import { buildModules } from './filters.ts';
import { driveAtRate } from './load.ts';
import { extremes, type Row, row } from './rows.ts';
import { RulesetServer } from './ruleset-server.ts';
import { rulesetOf } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { median, quantile } from './statistics.ts';

/**
 * How exactly a delay is kept: what a request took, less what one takes without the filter (the median of the same round),
 * less the delay asked for. Whether one came early is judged without subtracting anything but the delay.
 */

const ASKED_MS = 100;
const PER_SECOND = 500;
/** Enough that an idle connection is always there: rate times delay, and as many again. */
const CONNECTIONS = 150;

export async function delayRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  const server = await RulesetServer.start(new Map([['delay', rulesetOf([{ fault: { delay: { fixed_delay_ms: ASKED_MS } } }])]]));
  try {
    const modules = await buildModules(processes.folder);
    const options = { controlPlanePort: server.port, workers: 2, core: 0 };
    const ours = await startProxy(processes, { ...options, name: 'delay', filters: [hfiFilter(modules.hfi, 'bench')] });
    const native = await startProxy(processes, { ...options, name: 'native', filters: [nativeDelay(ASKED_MS)] });
    const plain = await startProxy(processes, { ...options, name: 'plain', filters: [] });
    await server.inForce('delay');
    pinSelf(1);
    const rounds = short ? 3 : 7;
    const count = short ? 500 : 2500;
    const taken: Taken = { ours: [], native: [], plain: [] };
    const turns = [
      [taken.ours, ours],
      [taken.native, native],
      [taken.plain, plain],
    ] as const;
    for (let i = 0; i < rounds; i++) {
      say(`delay: round ${i + 1} of ${rounds}`);
      for (const [times, proxy] of i % 2 === 0 ? turns : [...turns].reverse()) {
        times.push(await driveAtRate(proxy.port, PER_SECOND, count, CONNECTIONS));
      }
    }
    return judge(taken);
  } finally {
    unpinSelf();
    server.stop();
    await processes.end();
  }
}

/** Milliseconds that the requests took, by round. */
interface Taken {
  readonly ours: number[][];
  readonly native: number[][];
  readonly plain: number[][];
}

function judge({ ours, native, plain }: Taken): Row[] {
  const without = plain.map((times) => median(times));
  const added = (rounds: readonly number[][], share: number): number[] =>
    rounds.map((times, i) => quantile(times, share) - (without[i] ?? 0) - ASKED_MS);
  const at = (share: number, limit: number): Row => {
    const own = added(ours, share);
    const value = median(own);
    return row(`delay: added - asked, p${share * 100}`, 'ms', value, extremes(own), {
      peer: 'native fault filter',
      peerValue: median(added(native, share)),
      bar: `<= ${limit}`,
      holds: value <= limit,
    });
  };
  const earliest = (rounds: readonly number[][]): number => Math.min(...rounds.flat()) - ASKED_MS;
  return [
    row('delay: a request without one, p50', 'ms', median(without), extremes(without)),
    at(0.5, 2),
    at(0.99, 10),
    row('delay: earliest, taken - asked', 'ms', earliest(ours), extremes([earliest(ours)]), {
      peer: 'native fault filter',
      peerValue: earliest(native),
      bar: '>= 0',
      holds: earliest(ours) >= 0,
    }),
  ];
}
