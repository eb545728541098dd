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

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], { env, stdin, cwd }: Setting = {}): Promise<Ended> {
  const plain = Object.entries(process.env).filter(([name]) => !name.startsWith('HFI_') && name !== 'NO_COLOR' && name !== 'FORCE_COLOR');
  return new Promise((resolve, reject) => {
    // HFI_CONFIG names no file, so that no context of the person who runs the tests is used.
    const child = spawn(command, args, {
      cwd: cwd ?? ROOT,
      env: { ...Object.fromEntries(plain), HFI_CONFIG: join(ROOT, 'no', 'config.json'), ...env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (bytes: Buffer) => {
      stdout += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(stdin ?? '');
  });
}
