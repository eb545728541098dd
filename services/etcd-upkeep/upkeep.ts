import { join } from 'node:path';
import type { Logger } from 'pino';
import { defragmentAll } from './defragment.ts';
import { removeLeftBehind, removeOldest, snapshotName } from './folder.ts';
import { type Member, stateOf } from './member.ts';
import type { Settings } from './settings.ts';
import { saveSnapshot } from './snapshot.ts';

/**
 * A snapshot, and only when there is one, the defragmentation: what could go wrong in that finds a backup.
 *
 * @returns whether all of it was done; the log says what wasn't
 */
export async function upkeep(members: readonly Member[], { folder, keep, waitMs }: Omit<Settings, 'etcd'>, log: Logger): Promise<boolean> {
  try {
    await removeLeftBehind(folder, Date.now());
    await saveNewest(members, folder, waitMs, log);
    const removed = await removeOldest(folder, keep);
    if (removed.length > 0) log.info({ removed }, 'removed the oldest');
  } catch (error) {
    log.error({ reason: reasonOf(error) }, 'no snapshot was saved');
    return false;
  }
  try {
    await defragmentAll(members, waitMs, log);
    return true;
  } catch (error) {
    log.error({ reason: reasonOf(error) }, 'not every member was defragmented');
    return false;
  }
}

/** Saves what the member has that has come furthest; when that fails, what the next one has. */
async function saveNewest(members: readonly Member[], folder: string, waitMs: number, log: Logger): Promise<void> {
  const asked = await Promise.allSettled(members.map(async (member) => ({ member, state: await stateOf(member, waitMs) })));
  const problems = asked.flatMap((one) => (one.status === 'rejected' ? [reasonOf(one.reason)] : []));
  const ready = asked
    .flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    .sort((one, other) => other.state.appliedIndex - one.state.appliedIndex);
  for (const { member, state } of ready) {
    const file = join(folder, snapshotName(new Date()));
    try {
      const bytes = await saveSnapshot(member.client, file);
      log.info({ member: member.endpoint, file, bytes, revision: state.revision }, 'saved a snapshot');
      return;
    } catch (error) {
      // The next member's would not have room either.
      if (isFull(error)) throw error;
      problems.push(`${member.endpoint}: ${reasonOf(error)}`);
    }
  }
  throw new Error(problems.join('; '));
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

function reasonOf(error: unknown): string {
  if (isFull(error)) return "the snapshots' volume is full: raise etcd.backup.storage or lower etcd.backup.keep";
  return error instanceof Error ? error.message : String(error);
}
