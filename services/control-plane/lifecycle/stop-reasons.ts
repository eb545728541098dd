import type { End } from '../../policy/lifecycle.ts';

/**
 * The end of a policy of which enough requests were hit.
 *
 * @param limit what `stopWhen` says
 * @param at milliseconds since the epoch
 */
export function injectedEnough(hits: number, limit: number, at: number): End {
  return { at, reason: 'stopped', why: `${hits} ${hits === 1 ? 'request was' : 'requests were'} hit, and stopWhen says ${limit}` };
}
