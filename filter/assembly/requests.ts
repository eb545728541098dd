import { DIRECTION_OUTBOUND } from './config';
import { countRequests } from './metrics';

/**
 * How many requests come by, with or without rules: counted in this VM's own memory, and put where all VMs' are added up once a second,
 * so that a request costs no host call.
 */
let inbound: u32 = 0;
let outbound: u32 = 0;

/** @param direction of its root; one that isn't told counts as inbound */
export function seeRequest(direction: u32): void {
  if (direction == DIRECTION_OUTBOUND) outbound++;
  else inbound++;
}

export function tellRequests(): void {
  countRequests(inbound, outbound);
  inbound = 0;
  outbound = 0;
}
