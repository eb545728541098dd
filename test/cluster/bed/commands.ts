import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';

/** Runs a command to its end. @throws Error with what it said */
export function run(command: string, args: readonly string[], options: { input?: string; cwd?: string } = {}): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024, ...options });
  } catch (error) {
    const { stderr, stdout } = error as { stderr?: string; stdout?: string };
    throw new Error(`${command} ${args.join(' ')}: ${stderr || stdout || String(error)}`);
  }
}

/** The long-running processes of the bed, each with a log in `logs/`. */
export class Daemons {
  readonly #folder: string;
  readonly #running = new Map<string, ChildProcess>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, 'logs'), { recursive: true });
  }

  start(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
    const log = openSync(join(this.#folder, 'logs', `${name}.log`), 'a');
    const child = spawn(command, args, { cwd: this.#folder, env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
    closeSync(log);
    child.on('error', (error) => process.stderr.write(`${name}: ${error.message}\n`));
    child.on('exit', (code, signal) => {
      if (this.#running.get(name) === child)
        process.stderr.write(`${name} ended (${signal ?? code}); see ${this.#folder}/logs/${name}.log\n`);
    });
    this.#running.set(name, child);
  }

  async stop(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(late);
  }

  async stopAll(): Promise<void> {
    // An API server with open watches takes a minute to end by itself.
    await Promise.all(
      [...this.#running.keys()].reverse().map((name) => this.stop(name, name === 'kube-apiserver' ? 'SIGKILL' : 'SIGTERM')),
    );
  }
}
