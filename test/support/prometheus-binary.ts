import { spawnSync } from 'node:child_process';
import { accessSync, constants, copyFileSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { binaryFolder } from '../../cli/sandbox/project.ts';

/** Where a Prometheus is, or why there is none. */
export type FoundPrometheus = { readonly path: string } | { readonly missing: string };

/**
 * Prometheus: named by `HFI_PROMETHEUS`, on the PATH, or Debian's package, unpacked into `.hfi/bin` and not installed. No registry of
 * packages that the project has anyway has a binary of it.
 */
export function findPrometheus(): FoundPrometheus {
  const named = process.env.HFI_PROMETHEUS;
  if (named) return isExecutable(named) ? { path: named } : { missing: `HFI_PROMETHEUS names ${named}, which is no executable file` };
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'prometheus'));
  const found = onPath.find(isExecutable);
  if (found !== undefined) return { path: found };
  const kept = join(binaryFolder(), 'prometheus');
  if (isExecutable(kept)) return { path: kept };
  const problem = unpack(kept);
  return problem === undefined ? { path: kept } : { missing: `${problem}; put prometheus on the PATH, or name it in HFI_PROMETHEUS` };
}

/** @returns why it can't be done */
function unpack(kept: string): string | undefined {
  mkdirSync(binaryFolder(), { recursive: true });
  const folder = mkdtempSync(join(binaryFolder(), 'prometheus-'));
  try {
    // Any user may download: only installing needs root.
    const downloaded = spawnSync('apt-get', ['download', 'prometheus'], { cwd: folder, encoding: 'utf8' });
    if (downloaded.error !== undefined) return 'there is no Prometheus on the PATH, and no apt-get to download it with';
    const [file] = readdirSync(folder).filter((name) => name.endsWith('.deb'));
    if (downloaded.status !== 0 || file === undefined) return `apt-get download prometheus failed: ${lastLine(downloaded.stderr)}`;
    const unpacked = spawnSync('dpkg', ['-x', join(folder, file), folder], { encoding: 'utf8' });
    if (unpacked.status !== 0) return `dpkg -x failed: ${lastLine(unpacked.stderr ?? '')}`;
    const copy = join(folder, 'whole');
    copyFileSync(join(folder, 'usr', 'bin', 'prometheus'), copy);
    // In one step: another process may look for it.
    renameSync(copy, kept);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
