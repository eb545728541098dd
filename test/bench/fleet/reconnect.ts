import { Processes, residentMemory, until } from '../../support/processes.ts';
import { type Row, row } from '../rows.ts';
import type { Settings } from '../settings.ts';
import { Stack } from '../stack.ts';
import { Proxies } from './proxies.ts';

/** How soon a replica that was killed and started again has all its proxies back. */

const PROXIES = 10_000;
const MOST_SECONDS = 15;

export async function reconnectRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  let stack: Stack | undefined;
  let proxies: Proxies | undefined;
  try {
    stack = await Stack.start(processes);
    proxies = new Proxies(stack.port, stack.proxyToken, PROXIES, 10);
    say(`reconnect: ${PROXIES} proxies connect`);
    await proxies.connect();
    const fleet = proxies;
    const seconds: number[] = [];
    const refused = new Map<string, number>();
    let most = 0;
    for (let i = 0; i < (short ? 1 : 3); i++) {
      fleet.forget();
      const started = await stack.restart();
      // Until here nobody listened; from here on every refusal counts.
      fleet.failures.clear();
      const { pid } = stack;
      await until(
        () => {
          most = Math.max(most, residentMemory(pid));
          return fleet.answered === PROXIES;
        },
        () => `${fleet.answered} of ${PROXIES} are served`,
        60_000,
      );
      seconds.push((performance.now() - started) / 1000);
      say(`reconnect: all served after ${seconds.at(-1)?.toFixed(1)} s`);
      for (const [why, count] of fleet.failures) refused.set(why, (refused.get(why) ?? 0) + count);
    }
    const errors = [...refused.values()].reduce((sum, count) => sum + count, 0);
    if (errors > 0) say(`reconnect: errors: ${JSON.stringify([...refused])}`);
    const longest = Math.max(...seconds);
    return [
      row(
        `reconnect: ${PROXIES} after a restart, all served, longest of ${seconds.length}`,
        's',
        longest,
        { low: Math.min(...seconds), high: longest },
        {
          bar: `<= ${MOST_SECONDS}`,
          holds: longest <= MOST_SECONDS,
        },
      ),
      row(
        'reconnect: errors that a proxy saw once it was up',
        'errors',
        errors,
        { low: errors, high: errors },
        { bar: '0', holds: errors === 0 },
      ),
      row('reconnect: memory meanwhile', 'MiB', most / 1048576, { low: most / 1048576, high: most / 1048576 }),
    ];
  } finally {
    proxies?.close();
    stack?.stop();
    await processes.end();
  }
}
