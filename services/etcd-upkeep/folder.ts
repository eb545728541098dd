import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A snapshot's name; a later one's comes later in the alphabet. */
const SNAPSHOT = /^etcd-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.db$/;
const PARTIAL = /^etcd-.*\.db\.partial$/;
/** Older than any run may get, in milliseconds: whoever wrote it is gone. */
const LEFT_BEHIND_MS = 3_600_000;

/** The name of a snapshot of this moment: `etcd-2026-08-01T03-17-00Z.db`. */
export function snapshotName(time: Date): string {
  return `etcd-${time
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-')}.db`;
}

/** Removes all but the newest `keep` snapshots. Whatever else is there stays. @returns the names of those that are gone */
export async function removeOldest(folder: string, keep: number): Promise<string[]> {
  const snapshots = (await readdir(folder)).filter((name) => SNAPSHOT.test(name)).sort();
  const old = snapshots.slice(0, Math.max(0, snapshots.length - keep));
  for (const name of old) await rm(join(folder, name), { force: true });
  return old;
}

/** Removes what a run left that was killed while it wrote. */
export async function removeLeftBehind(folder: string, now: number): Promise<void> {
  for (const name of (await readdir(folder)).filter((one) => PARTIAL.test(one))) {
    const { mtimeMs } = await stat(join(folder, name));
    if (now - mtimeMs > LEFT_BEHIND_MS) await rm(join(folder, name), { force: true });
  }
}
