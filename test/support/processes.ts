import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The processes of one test or benchmark, and a folder for their files; all gone after `end`. */
export class Processes {
  readonly folder: string;
  readonly #children = new Set<ChildProcess>();
  /** A signal must not leave servers behind. */
  readonly #onExit = (): void => this.#kill();

  private constructor(folder: string) {
    this.folder = folder;
    process.once('exit', this.#onExit);
  }

  static async begin(): Promise<Processes> {
    return new Processes(await mkdtemp(join(tmpdir(), 'hfi-test-')));
  }

  /** Starts a program. @param core the processor to keep it on, where `taskset` is there */
  start(command: string, args: readonly string[], core?: number, env: NodeJS.ProcessEnv = {}): ChildProcess & { pid: number } {
    const whole = core === undefined || !canPin ? [command, ...args] : ['taskset', '-c', String(core), command, ...args];
    const child = spawn(whole[0] ?? command, whole.slice(1), {
      cwd: this.folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (child.pid === undefined) throw new Error(`${command} does not start`);
    this.#children.add(child);
    child.on('error', () => {});
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said.push(chunk.toString());
        if (said.length > 50) said.shift();
      });
    }
    child.on('exit', (code) => {
      if (this.#children.delete(child) && code !== 0) process.stderr.write(`${command} ended with ${code}:\n${said.join('')}\n`);
    });
    return child as ChildProcess & { pid: number };
  }

  /** Ends one of the processes and waits until it is gone. */
  async kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  async end(): Promise<void> {
    const waiting = [...this.#children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    this.#kill();
    await Promise.all(waiting);
    process.off('exit', this.#onExit);
    await rm(this.folder, { recursive: true, force: true });
  }

  #kill(): void {
    const children = [...this.#children];
    this.#children.clear();
    for (const child of children) child.kill('SIGKILL');
  }
}

const canPin = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;

/** Keeps this process on one processor, so that it does not take time from the proxy under test. */
export function pinSelf(core: number): void {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(process.pid)]);
}

/** Lets this process run on all processors again. */
export function unpinSelf(): void {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', `0-${allProcessors - 1}`, String(process.pid)]);
}

// Read before any pinning changes the answer.
const allProcessors = availableParallelism();

/**
 * Processor time (user + system) that a process's threads have had, in nanoseconds: the first field of each
 * `/proc/PID/task/TID/schedstat` (Linux, Documentation/scheduler/sched-stats). Exact for threads that sleep.
 */
export function processorTime(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum;
}

/** A process's resident memory in bytes, the files that it maps included: `VmRSS` of `/proc/PID/status` (Linux, proc_pid_status(5)). */
export function residentMemory(pid: number): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** Waits until `holds` is true; throws after `ms`. */
export async function until(holds: () => Promise<boolean> | boolean, what: string | (() => string), ms = 20_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${typeof what === 'string' ? what : what()}: not within ${ms} ms`);
    await sleep(20);
  }
}
