import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../cli/sandbox/ports.ts';
import type { SandboxState, SandboxStatus } from '../../cli/sandbox/state.ts';

const ENTRY = path.join(import.meta.dirname, '..', '..', 'bin', 'hfi.js');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A place of its own for a sandbox: state and CLI contexts in a temporary folder, free ports. Close it, also after a failure. */
export class SandboxPlace {
  readonly folder: string;
  readonly ports: readonly [controlPlane: number, frontend: number, backend: number];
  readonly env: NodeJS.ProcessEnv;
  readonly #started: ChildProcess[] = [];

  private constructor(folder: string, ports: readonly [number, number, number]) {
    this.folder = folder;
    this.ports = ports;
    this.env = {
      ...process.env,
      HFI_SANDBOX_DIR: path.join(folder, 'sandbox'),
      HFI_CONFIG: path.join(folder, 'config.json'),
      NO_COLOR: '1',
    };
  }

  static async make(): Promise<SandboxPlace> {
    const [controlPlane = 0, frontend = 0, backend = 0] = await freePorts(3);
    return new SandboxPlace(await mkdtemp(path.join(tmpdir(), 'hfi-sandbox-')), [controlPlane, frontend, backend]);
  }

  /** The flags of `sandbox up` for this place. */
  get upFlags(): string[] {
    const [controlPlane, frontend, backend] = this.ports;
    return ['--port', String(controlPlane), '--frontend-port', String(frontend), '--backend-port', String(backend)];
  }

  /** Starts `hfi …` and leaves it running. */
  spawn(args: readonly string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; ended: Promise<Ended>; output: () => string } {
    const child = spawn(process.execPath, [ENTRY, ...args], { env: { ...this.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#started.push(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
    return { child, ended, output: () => stdout + stderr };
  }

  /** Runs `hfi …` to its end. */
  hfi(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.spawn(args, env).ended;
  }

  /** Starts the sandbox in the foreground and resolves once its screen says that it is up. */
  async up(...flags: string[]): Promise<ReturnType<SandboxPlace['spawn']>> {
    const running = this.spawn(['sandbox', 'up', ...this.upFlags, ...flags]);
    await until('the sandbox is up', () => {
      if (running.child.exitCode !== null) throw new Error(`the sandbox ended: ${running.output()}`);
      return running.output().includes('The sandbox is up');
    });
    return running;
  }

  async status(): Promise<SandboxStatus> {
    return JSON.parse((await this.hfi(['sandbox', 'status', '-o', 'json'])).stdout) as SandboxStatus;
  }

  async state(): Promise<SandboxState> {
    return JSON.parse(await readFile(path.join(this.folder, 'sandbox', 'state.json'), 'utf8')) as SandboxState;
  }

  /** Ends all that was started here and removes the folder. */
  async close(): Promise<void> {
    await this.hfi(['sandbox', 'down']);
    for (const child of this.#started) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Waits until a condition holds; throws with its name after `limitMs`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(25);
  }
}
