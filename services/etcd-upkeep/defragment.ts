import type { Logger } from 'pino';
import { type Member, stateOf } from './member.ts';

/** Longest time for one member, in milliseconds. */
const DEADLINE_MS = 300_000;
/** The part of a database that must be free for the pause to be worth it: 500 MB take 4 to 7 seconds, with or without anything to gain. */
const LEAST_FREE = 0.1;

/**
 * Gives the room that deleted data had back to the disk, one member after another and the leader last. A member answers nothing
 * meanwhile, so each begins only when all of them are ready: with one of three gone, another one's pause would stop them all.
 *
 * @param waitMs how long a member may take to be ready
 * @throws Error that names the member that isn't ready or could not do it; those after it are left alone
 */
export async function defragmentAll(members: readonly Member[], waitMs: number, log: Logger): Promise<void> {
  const ready = async () => Promise.all(members.map(async (member) => ({ member, state: await stateOf(member, waitMs) })));
  const order = (await ready()).sort((one, other) => Number(one.state.isLeader) - Number(other.state.isLeader));
  for (const { member, state } of order) {
    const { bytes: before, bytesInUse } = state;
    if (before - bytesInUse < before * LEAST_FREE) {
      log.info({ member: member.endpoint, bytes: before, bytesInUse }, 'has next to nothing to give back');
      continue;
    }
    await ready();
    const begin = performance.now();
    await member.client.maintenance.defragment({ deadline: Date.now() + DEADLINE_MS }).catch((error: Error) => {
      throw new Error(`${member.endpoint} could not be defragmented: ${error.message}`);
    });
    const ms = Math.round(performance.now() - begin);
    const after = (await stateOf(member, waitMs)).bytes;
    log.info({ member: member.endpoint, before, after, ms }, 'defragmented');
  }
}
