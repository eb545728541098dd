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
 * How exactly a delay is kept while 1,000 requests wait: what a request took, less what one takes without the filter (the median of the same round),
 * less the delay asked for; either way off counts as an error. Whether one came early is judged without subtracting anything but the delay.
 */

const ASKED_MS = 1000;
const PER_SECOND = 1000;
/** Enough that an idle connection is always there: rate times delay, and half as many again. */
const CONNECTIONS = 1500;

export async function delayRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  const server = await RulesetServer.start(new Map([['delay', rulesetOf([{ fault: { delay: { fixed_delay_ms: ASKED_MS } } }])]]));
  try {
    const modules = await buildModules(processes.folder);
    const options = { controlPlanePort: server.port, workers: 2, core: 0 };
    const ours = await startProxy(processes, {
      ...options,
      name: 'delay',
      filters: [hfiFilter(modules.hfi, 'bench', { maxDelayedRequests: 2 * CONNECTIONS })],
    });
    const native = await startProxy(processes, { ...options, name: 'native', filters: [nativeDelay(ASKED_MS)] });
    const plain = await startProxy(processes, { ...options, name: 'plain', filters: [] });
    await server.inForce('delay');
    pinSelf(1);
    const rounds = short ? 3 : 7;
    const count = short ? 2000 : 5000;
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
  const errors = (rounds: readonly number[][], share: number): number[] =>
    rounds.map((times, i) =>
      quantile(
        times.map((time) => Math.abs(time - (without[i] ?? 0) - ASKED_MS)),
        share,
      ),
    );
  const at = (share: number, limit: number): Row => {
    const own = errors(ours, share);
    const value = median(own);
    const peerValue = median(errors(native, share));
    return row(`delay: error, p${share * 100}`, 'ms', value, extremes(own), {
      peer: 'native fault filter',
      peerValue,
      bar: `<= ${limit} and <= 1.5 x`,
      holds: value <= limit && value <= 1.5 * peerValue,
    });
  };
  const earliest = (rounds: readonly number[][]): number => Math.min(...rounds.flat()) - ASKED_MS;
  return [
    row('delay: a request without one, p50', 'ms', median(without), extremes(without)),
    at(0.5, 1),
    at(0.99, 4),
    row('delay: earliest, taken - asked', 'ms', earliest(ours), extremes([earliest(ours)]), {
      peer: 'native fault filter',
      peerValue: earliest(native),
      bar: '>= 0',
      holds: earliest(ours) >= 0,
    }),
  ];
}
