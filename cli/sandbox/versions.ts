import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The programs that the sandbox takes from outside. */
export type Program = 'envoy' | 'etcd';

const run = promisify(execFile);
const patterns: Record<Program, RegExp> = {
  envoy: /version: [0-9a-f]+\/(\d+)\.(\d+)\.(\d+)/,
  etcd: /etcd Version: (\d+)\.(\d+)\.(\d+)/,
};

/** The version that `file --version` of a program says, as `1.40.0`; undefined when it doesn't run or says something else. */
export async function versionOf(program: Program, file: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(file, ['--version'], { timeout: 10_000 });
    return parseVersion(program, stdout);
  } catch {
    return undefined;
  }
}

/** The version in what `--version` printed. */
export function parseVersion(program: Program, text: string): string | undefined {
  return patterns[program].exec(text)?.slice(1).join('.');
}

/** Why this version can't be used, or undefined when it can. */
export function tooOld(program: Program, version: string): string | undefined {
  if (program === 'envoy') return atLeast(version, '1.36.0') ? undefined : 'the filter needs Envoy 1.36 or newer';
  return atLeast(version, '3.4.0') ? undefined : 'the control plane needs etcd 3.4 or newer';
}

/** Whether an etcd of this version keeps its data consistent through a crash: 3.4.20+, 3.5.3+, 3.6+ (etcd issue 13766). */
export function crashSafe(version: string): boolean {
  if (atLeast(version, '3.6.0')) return true;
  return atLeast(version, '3.5.0') ? atLeast(version, '3.5.3') : atLeast(version, '3.4.20');
}

function atLeast(version: string, least: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [index, wanted] of least.split('.').map(Number).entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
