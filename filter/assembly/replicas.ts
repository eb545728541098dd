import { callResponseHeader, resultAt, resultLength } from './host';
import { HEADER_REPLICA } from './protocol';
import { forgetAcknowledged } from './sums';

/**
 * Which starts of the control plane's replicas this VM has heard of lately. What was told to one that is no more may be lost with it, so one
 * that was not heard of before is told everything: it has taken another one's place.
 */
const MOST: u32 = 8;
const NAME_BYTES: u32 = 16;

const names: usize = memory.data(8 * 16, 8);
let next: u32 = 0;

/** Looks who answered the call whose answer is being handled. */
export function heardOfReplica(): void {
  if (!callResponseHeader(HEADER_REPLICA) || resultLength != NAME_BYTES) return;
  for (let i: u32 = 0; i < MOST; i++) {
    const name = names + i * NAME_BYTES;
    if (load<u64>(name) == load<u64>(resultAt) && load<u64>(name, 8) == load<u64>(resultAt, 8)) return;
  }
  memory.copy(names + next * NAME_BYTES, resultAt, NAME_BYTES);
  next = (next + 1) % MOST;
  forgetAcknowledged();
}
