import { hfiFilter, nativeDelay, startProxy } from './envoy.ts';
import { buildModules } from './filters.ts';
import { driveAtRate } from './load.ts';
import { Processes, pinSelf, unpinSelf } from './processes.ts';
import { type Row, row } from './rows.ts';
import { RulesetServer } from './ruleset-server.ts';
import { rulesetOf } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { median, quantile } from './statistics.ts';

/** How exactly a delay is kept: what a request took, less the delay asked for and less what it takes without one. */

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
    await server.inForce('delay');
    pinSelf(1);
    const rounds = short ? 3 : 7;
    const count = short ? 500 : 2500;
    const times: { ours: number[][]; native: number[][] } = { ours: [], native: [] };
    for (let i = 0; i < rounds; i++) {
      say(`delay: round ${i + 1} of ${rounds}`);
      const turns = [
        ['ours', ours],
        ['native', native],
      ] as const;
      for (const [name, proxy] of i % 2 === 0 ? turns : [...turns].reverse()) {
        const took = await driveAtRate(proxy.port, PER_SECOND, count, CONNECTIONS);
        times[name].push(took.map((ms) => ms - ASKED_MS));
      }
    }
    return judge(times.ours, times.native);
  } finally {
    unpinSelf();
    server.stop();
    await processes.end();
  }
}

function judge(ours: readonly number[][], native: readonly number[][]): Row[] {
  const at = (share: number, limit: number): Row => {
    const own = ours.map((times) => quantile(times, share));
    const peer = native.map((times) => quantile(times, share));
    const value = median(own);
    return row(
      `delay: added - asked, p${share * 100}`,
      'ms',
      value,
      { low: Math.min(...own), high: Math.max(...own) },
      {
        peer: 'native fault filter',
        peerValue: median(peer),
        bar: `<= ${limit}`,
        holds: value <= limit,
      },
    );
  };
  const earliest = Math.min(...ours.flat());
  return [
    at(0.5, 2),
    at(0.99, 10),
    row(
      'delay: earliest, added - asked',
      'ms',
      earliest,
      { low: earliest, high: earliest },
      {
        peer: 'native fault filter',
        peerValue: Math.min(...native.flat()),
        bar: '>= 0',
        holds: earliest >= 0,
      },
    ),
  ];
}
