import { Processes } from '../support/processes.ts';
import { hfiFilter, startProxy } from './envoy.ts';
import { buildModules } from './filters.ts';
import { drive, openMany } from './load.ts';
import { type Row, row } from './rows.ts';
import { RulesetServer } from './ruleset-server.ts';
import { rulesetOf } from './rulesets.ts';
import type { Settings } from './settings.ts';
import { binomialInterval } from './statistics.ts';

/** Whether a percentage is one: how many of many requests over two workers are hit. */
export async function shareRows({ say }: Settings): Promise<Row[]> {
  const requests = 20_000;
  const processes = await Processes.begin();
  const server = await RulesetServer.start(new Map([['share', rulesetOf([{ fault: { percentage: 10, abort: { httpStatus: 503 } } }])]]));
  try {
    say('share: 10 % of 20,000 requests');
    const modules = await buildModules(processes.folder);
    const proxy = await startProxy(processes, {
      name: 'share',
      filters: [hfiFilter(modules.hfi, 'bench')],
      controlPlanePort: server.port,
      workers: 2,
    });
    await server.inForce('share');
    const connections = await openMany(proxy.port, 8);
    const statuses = await drive(connections, requests);
    for (const connection of connections) connection.close();
    const hits = statuses.get(503) ?? 0;
    if (hits + (statuses.get(200) ?? 0) !== requests) throw new Error(`other answers than 200 and 503: ${JSON.stringify([...statuses])}`);
    const range = binomialInterval(requests, 0.1, 0.999);
    return [
      row(
        'share: 10 % of 20,000 over 2 workers',
        'requests',
        hits,
        { low: hits, high: hits },
        {
          peer: 'binomial expectation',
          peerValue: requests / 10,
          bar: `${range.low} to ${range.high}`,
          holds: hits >= range.low && hits <= range.high,
        },
      ),
    ];
  } finally {
    server.stop();
    await processes.end();
  }
}
