import { setTimeout as sleep } from 'node:timers/promises';
import { makeClient, type Target, taken } from './client.ts';

/** How far a change has come. */
export interface Rollout {
  readonly done: boolean;
  readonly selected: number;
  readonly acknowledged: number;
  /** The proxies that don't run it yet, with the reason if they gave one. */
  readonly pending: readonly string[];
  /** The same apart. */
  readonly late: readonly { readonly name: string; readonly reason: string | null }[];
  /** Of those, and of the ones that nobody hears of: when their leases end that are running. */
  readonly leases: readonly { readonly name: string; readonly endsAt: string }[];
  /** The proxies that it concerns and that nobody hears of at the moment. */
  readonly disconnected: readonly string[];
  readonly incomplete: readonly string[];
  /** Of a halt: until when proxies may go on of which nobody has heard; null when there can be none. */
  readonly unheardUntil: string | null;
  /** Milliseconds that were waited. */
  readonly ms: number;
}

/** The longest hold of one request, in seconds. */
const HOLD_SECONDS = 5;
/** Between questions when less than the least hold, one second, is left. */
const PAUSE_MS = 50;

/**
 * Waits until every proxy that a policy selects, or every proxy, runs what it should at `revision`.
 *
 * @param deadline of `performance.now()`
 * @param more what else the question says
 */
export async function waitForRollout(
  target: Target,
  revision: string,
  policy: string | undefined,
  deadline: number,
  more: { readonly namespace?: string; readonly halted?: 'true' } = {},
): Promise<Rollout> {
  const begun = performance.now();
  for (;;) {
    const left = deadline - performance.now();
    const seconds = Math.max(0, Math.min(HOLD_SECONDS, Math.floor(left / 1000)));
    const query = policy === undefined ? { revision, ...more } : { revision, policy, ...more };
    const client = makeClient({ ...target, timeoutMs: Math.max(0, left) + target.timeoutMs });
    const state = await taken(await client.v1.rollout.$get({ query, header: { prefer: `wait=${seconds}` } }));
    if (state.done || performance.now() >= deadline) {
      const late = state.proxies.filter(({ acknowledged }) => !acknowledged).map(({ name, reason }) => ({ name, reason }));
      const pending = late.map(({ name, reason }) => (reason === null ? name : `${name} (${reason})`));
      const { done, selected, acknowledged, disconnected, leases, incomplete, unheardUntil } = state;
      return { done, selected, acknowledged, pending, late, leases, disconnected, incomplete, unheardUntil, ms: performance.now() - begun };
    }
    if (seconds === 0) await sleep(PAUSE_MS);
  }
}

/** One line on a rollout. */
export function inWords({ done, selected, acknowledged, pending, disconnected, incomplete, unheardUntil, ms }: Rollout): string {
  const others = unheardUntil === null ? 'the control plane' : 'proxies that are not heard of';
  const missing = [
    ...(disconnected.length === 0 ? [] : [`; not connected, so not asked: ${disconnected.join(', ')}`]),
    ...(incomplete.length === 0 ? [] : [`; could not ask replica ${incomplete.join(', ')}`]),
  ].join('');
  const count = `acknowledged by ${acknowledged} of ${selected} ${selected === 1 ? 'proxy' : 'proxies'}`;
  return done ? `${count} in ${Math.round(ms)} ms${missing}` : `${count}; still waiting for ${pending.join(', ') || others}${missing}`;
}
