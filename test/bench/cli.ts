import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Processes } from '../support/processes.ts';
import { atMost, extremes, type Row, row } from './rows.ts';
import type { Settings } from './settings.ts';
import { Stack } from './stack.ts';
import { median, medianInterval } from './statistics.ts';

const ENTRY = join(import.meta.dirname, '..', '..', 'bin', 'hfi.js');

/** How light the CLI starts: `hfi policy list` of a control plane without policies, beside Node doing nothing. */
export async function cliRows({ short, say }: Settings): Promise<Row[]> {
  if (!existsSync(ENTRY)) {
    say('cli: left out, bin/hfi.js is not there');
    return [];
  }
  say('cli: start-up');
  const processes = await Processes.begin();
  let stack: Stack | undefined;
  try {
    stack = await Stack.start(processes);
    const env = { ...process.env, HFI_CONTROL_PLANE_ADDR: `http://127.0.0.1:${stack.port}`, HFI_TOKEN: stack.adminToken };
    const list = (): Promise<number> => run([ENTRY, 'policy', 'list'], env);
    const nothing = (): Promise<number> => run(['-e', '0'], env);
    await list();
    await nothing();
    const times: { list: number[]; nothing: number[] } = { list: [], nothing: [] };
    for (let i = 0; i < (short ? 7 : 31); i++) {
      const first = i % 2 === 0;
      if (first) times.list.push(await list());
      times.nothing.push(await nothing());
      if (!first) times.list.push(await list());
    }
    const ratios = times.list.map((ms, i) => ms / (times.nothing[i] ?? Number.NaN));
    return [
      row('cli: hfi policy list', 'ms', median(times.list), extremes(times.list), { peer: 'node -e 0', peerValue: median(times.nothing) }),
      row('cli: hfi policy list over node -e 0, within the round', 'x', median(ratios), medianInterval(ratios), {
        bar: '<= 1.8',
        holds: atMost(median(ratios), medianInterval(ratios), 1.8),
      }),
    ];
  } finally {
    stack?.stop();
    await processes.end();
  }
}

/** @returns milliseconds from start to end */
function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(performance.now() - from);
      else reject(new Error(`${args.join(' ')} ended with ${code}: ${said}`));
    });
  });
}
