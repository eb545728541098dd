import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxFailure } from './failure.ts';
import { runningSandbox, type SandboxState } from './state.ts';

/** Runs `hfi sandbox up` with these flags in a session of its own; resolves when all is up. Throws SandboxFailure with what it said. */
export async function upDetached(folder: string, flags: readonly string[]): Promise<SandboxState> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, 'up.log');
  const log = openSync(file, 'w');
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'sandbox', 'up', ...flags], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  for (;;) {
    const state = runningSandbox(folder);
    if (state?.complete && state.supervisor.pid === child.pid) break;
    if (ended)
      throw new SandboxFailure(
        readFileSync(file, 'utf8')
          .trim()
          .replace(/^error: /gm, ''),
      );
    await sleep(50);
  }
  child.unref();
  const state = runningSandbox(folder);
  if (state === undefined) throw new SandboxFailure(`The sandbox ended at once; see ${file}.`);
  return state;
}
