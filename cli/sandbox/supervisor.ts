import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxFailure } from './failure.ts';
import { endProcess, type ProcessId, processId } from './process.ts';

/** One process of the sandbox. */
export interface Part {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Answers 200 once the part serves. */
  readonly readyUrl: string;
}

/** `silent`: its process is there, but it does not answer. */
export type PartState = 'starting' | 'running' | 'silent' | 'dead';

export interface PartStatus extends ProcessId {
  readonly name: string;
  readonly state: PartState;
  readonly readyUrl: string;
  /** How it ended, such as `exit 1` or `SIGKILL`. */
  readonly ended?: string;
}

interface Running {
  readonly part: Part;
  readonly child: ChildProcess;
  status: PartStatus;
}

const READY_MS = 20_000;
const GRACE_MS = 3_000;

/**
 * Ends the parts when the supervisor is gone, however it went: it reads `+ PID` and `- PID` from a pipe, and kills who is left when
 * the pipe closes. SIGKILL, since nobody is there to wait for a stopped one.
 */
const REAPER = `
left=" "
while read -r op pid; do
  case $op in
    +) left="$left$pid " ;;
    -) next=" "; for p in $left; do [ "$p" = "$pid" ] || next="$next$p "; done; left=$next ;;
  esac
done
for p in $left; do kill -KILL "-$p" 2>/dev/null; done
`;

/** Starts the parts, knows which of them run, and ends them all. A part that dies stays dead until someone restarts it. */
export class Supervisor {
  readonly #parts = new Map<string, Running>();
  readonly #logs: string;
  readonly #changed: (died?: PartStatus) => void;
  readonly #reaper: ChildProcess;
  #ending = false;

  /** @param changed called at every change of a part's state, with the part when it died unasked */
  constructor(logs: string, changed: (died?: PartStatus) => void) {
    this.#logs = logs;
    this.#changed = changed;
    // In a session of its own, so that a Ctrl-C at the terminal doesn't end it first.
    this.#reaper = spawn('/bin/sh', ['-c', REAPER], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.#reaper.stdin?.on('error', () => {});
  }

  get parts(): PartStatus[] {
    return [...this.#parts.values()].map(({ status }) => status);
  }

  logFile(name: string): string {
    return path.join(this.#logs, `${name}.log`);
  }

  /** Starts a part and resolves once it is ready. Throws SandboxFailure with the end of its log when it ends or never gets ready. */
  async start(part: Part): Promise<void> {
    if (this.#ending) return;
    const log = openSync(this.logFile(part.name), 'a');
    const child = spawn(part.command, part.args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...part.env },
    });
    closeSync(log);
    if (child.pid === undefined) {
      const error = await new Promise<Error>((resolve) => child.once('error', resolve));
      throw new SandboxFailure(`${part.name} can't be started: ${error.message}.`);
    }
    const { pid } = child;
    this.#tellReaper('+', pid);
    const running: Running = { part, child, status: { name: part.name, state: 'starting', readyUrl: part.readyUrl, ...processId(pid) } };
    this.#parts.set(part.name, running);
    this.#changed();
    child.on('exit', (code, signal) => {
      this.#tellReaper('-', pid);
      running.status = { ...running.status, state: 'dead', ended: signal ?? `exit ${code}` };
      if (this.#parts.get(part.name) === running && !this.#ending) this.#changed(running.status);
    });
    await this.#ready(running);
  }

  async #ready(running: Running): Promise<void> {
    const { part } = running;
    const deadline = Date.now() + READY_MS;
    while (!(await answers(part.readyUrl))) {
      if (this.#ending) return;
      if (running.status.state === 'dead') {
        throw new SandboxFailure(`${part.name} ended while starting (${running.status.ended}).${this.#tail(part.name)}`);
      }
      if (Date.now() > deadline) throw new SandboxFailure(`${part.name} isn't ready after ${READY_MS / 1000} s.${this.#tail(part.name)}`);
      await sleep(20);
    }
    if (running.status.state !== 'starting') return;
    running.status = { ...running.status, state: 'running' };
    this.#changed();
  }

  #tail(name: string): string {
    const lines = readFileSync(this.logFile(name), 'utf8').trim().split('\n').slice(-3).join('\n  ');
    return ` Its log, ${this.logFile(name)}, ends:\n  ${lines}`;
  }

  /** Ends the part if it runs and starts it again. */
  async restart(name: string): Promise<void> {
    const running = this.#parts.get(name);
    if (running === undefined) throw new SandboxFailure(`There is no part ${name}; there are: ${[...this.#parts.keys()].join(', ')}.`);
    // Out of the table first, so that this end isn't reported as a death.
    this.#parts.delete(name);
    await endProcess(running.status, GRACE_MS);
    await this.start(running.part);
  }

  /** Ends every part, the last started first in asking; all within the grace time, also those that hang. */
  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#parts.values()].reverse().map(({ status }) => endProcess(status, GRACE_MS)));
    this.#reaper.stdin?.end();
  }

  #tellReaper(op: '+' | '-', pid: number): void {
    this.#reaper.stdin?.write(`${op} ${pid}\n`);
  }
}

/** Whether a part serves: its ready page answers 200 within a second. */
export async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1000) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}
