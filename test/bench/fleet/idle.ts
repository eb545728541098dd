import { setTimeout as sleep } from 'node:timers/promises';
import { Processes, processorTime, residentMemory } from '../../support/processes.ts';
import { type Row, row } from '../rows.ts';
import type { Settings } from '../settings.ts';
import { Stack } from '../stack.ts';
import { Proxies } from './proxies.ts';

/** What one replica takes for many proxies to which nothing happens. */

const PROXIES = 10_000;
const MOST_BYTES = 300 * 1024 * 1024;
const MOST_SHARE = 10;

export async function idleRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  let stack: Stack | undefined;
  let proxies: Proxies | undefined;
  try {
    stack = await Stack.start(processes);
    const before = residentMemory(stack.pid);
    proxies = new Proxies(stack.port, stack.proxyToken, PROXIES, 10);
    say(`idle: ${PROXIES} proxies connect`);
    await proxies.connect();
    // Each poll is held for 25 s, so that every one comes round at least once.
    const seconds = short ? 5 : 30;
    const [from, began] = [processorTime(stack.pid), performance.now()];
    const memory: number[] = [];
    for (let i = 0; i < seconds; i++) {
      await sleep(1000);
      memory.push(residentMemory(stack.pid));
    }
    const share = ((processorTime(stack.pid) - from) / 1e6 / (performance.now() - began)) * 100;
    if (proxies.failures.size > 0) throw new Error(`some failed: ${JSON.stringify([...proxies.failures])}`);
    const most = Math.max(...memory);
    return [
      row(
        `idle: memory with ${PROXIES} polls held`,
        'MiB',
        most / 1048576,
        { low: Math.min(...memory) / 1048576, high: most / 1048576 },
        {
          peer: 'without any',
          peerValue: before / 1048576,
          bar: `<= ${MOST_BYTES / 1048576}`,
          holds: most <= MOST_BYTES,
        },
      ),
      row(
        `idle: processor time with ${PROXIES} polls held`,
        '% of a core',
        share,
        { low: share, high: share },
        {
          bar: `<= ${MOST_SHARE}`,
          holds: share <= MOST_SHARE,
        },
      ),
    ];
  } finally {
    proxies?.close();
    stack?.stop();
    await processes.end();
  }
}
