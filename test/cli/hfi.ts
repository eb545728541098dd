import { spawn } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');
const ENTRY = join(ROOT, 'bin', 'hfi.js');

/** How a run of the CLI ended, and what it wrote where. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Setting {
  /** Variables beside the plain ones; none of the caller's own `HFI_…` reach the CLI. */
  readonly env?: Readonly<Record<string, string>>;
  /** What is on standard input; nothing if not given. */
  readonly stdin?: string;
  /** Typed, instead, once stdout shows `after`. */
  readonly typed?: { readonly after: string; readonly keys: string };
  readonly cwd?: string;
}

/** Runs the built CLI as a process, without a terminal. */
export function hfi(args: readonly string[], setting: Setting = {}): Promise<Ended> {
  return run(process.execPath, [ENTRY, ...args], setting);
}

/** Runs the built CLI on a terminal of its own (`script` of util-linux); everything it shows comes back as `stdout`. */
export function hfiOnTerminal(args: readonly string[], setting: Setting = {}): Promise<Ended> {
  const command = [process.execPath, ENTRY, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return run('script', ['--quiet', '--return', '--command', command, '/dev/null'], setting);
}

/** A run that takes longer is killed: a command that waits for what never comes must fail its test, not hold up the rest. */
const LONGEST_MS = 30_000;

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], { env, stdin, typed, cwd }: Setting = {}): Promise<Ended> {
  const plain = Object.entries(process.env).filter(([name]) => !name.startsWith('HFI_') && name !== 'NO_COLOR' && name !== 'FORCE_COLOR');
  return new Promise((resolve, reject) => {
    // HFI_CONFIG names no file, so that no context of the person who runs the tests is used.
    const child = spawn(command, args, {
      cwd: cwd ?? ROOT,
      env: { ...Object.fromEntries(plain), HFI_CONFIG: join(ROOT, 'no', 'config.json'), ...env },
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (bytes: Buffer) => {
      const waited = typed !== undefined && !stdout.includes(typed.after);
      stdout += bytes.toString();
      if (waited && stdout.includes(typed.after)) child.stdin.end(typed.keys);
    });
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {});
    if (typed === undefined) child.stdin.end(stdin ?? '');
  });
}
