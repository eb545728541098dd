import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdClient } from '../control-plane/store/client.ts';

/** A member of etcd, and a client that speaks to it alone. */
export interface Member {
  readonly endpoint: string;
  readonly client: EtcdClient;
}

/** What a member says of itself. */
export interface MemberState {
  readonly isLeader: boolean;
  /** How far it has come in the cluster's history. */
  readonly appliedIndex: number;
  readonly revision: string;
  /** Its database on disk, in bytes. */
  readonly bytes: number;
  /** The part of it that holds data, in bytes. */
  readonly bytesInUse: number;
}

const BETWEEN_TRIES_MS = 250;

/** What the member says, as soon as it answers and knows a leader. @throws Error that names it, after `waitMs` */
export async function stateOf({ endpoint, client }: Member, waitMs: number): Promise<MemberState> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    let problem: string;
    try {
      const { header, leader, raftAppliedIndex, dbSize, dbSizeInUse } = await client.maintenance.status();
      if (leader !== '0') {
        return {
          isLeader: leader === header.member_id,
          appliedIndex: Number(raftAppliedIndex),
          revision: header.revision,
          bytes: Number(dbSize),
          bytesInUse: Number(dbSizeInUse),
        };
      }
      problem = 'it knows no leader';
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() >= deadline) throw new Error(`${endpoint} is not ready: ${problem}`);
    await sleep(BETWEEN_TRIES_MS);
  }
}
