import { type Client, taken } from './client.ts';

/** How far a change has come. */
export interface Rollout {
  readonly done: boolean;
  readonly selected: number;
  readonly acknowledged: number;
  /** The proxies that don't run it yet, with the reason if they gave one. */
  readonly pending: readonly string[];
  readonly incomplete: readonly string[];
  /** Milliseconds that were waited. */
  readonly ms: number;
}

/** The longest hold of one request, in seconds. */
const HOLD_SECONDS = 5;

/**
 * Waits until every proxy that a policy selects, or every proxy, runs what it should at `revision`.
 *
 * @param clientFor makes a client with this many milliseconds for an answer
 */
export async function waitForRollout(
  clientFor: (timeoutMs: number) => Client,
  revision: string,
  policy: string | undefined,
  timeoutMs: number,
): Promise<Rollout> {
  const begun = performance.now();
  for (;;) {
    const left = timeoutMs - (performance.now() - begun);
    const seconds = Math.max(0, Math.min(HOLD_SECONDS, Math.floor(left / 1000)));
    const query = policy === undefined ? { revision } : { revision, policy };
    const answer = await clientFor(seconds * 1000 + 5000).v1.rollout.$get({ query, header: { prefer: `wait=${seconds}` } });
    const state = await taken(answer);
    const ms = performance.now() - begun;
    if (state.done || ms >= timeoutMs - 1000) {
      const pending = state.proxies
        .filter(({ acknowledged }) => !acknowledged)
        .map(({ name, reason }) => (reason === null ? name : `${name} (${reason})`));
      return { done: state.done, selected: state.selected, acknowledged: state.acknowledged, pending, incomplete: state.incomplete, ms };
    }
  }
}

/** One line on a rollout. */
export function inWords({ done, selected, acknowledged, pending, incomplete, ms }: Rollout): string {
  const missing = incomplete.length === 0 ? '' : `; could not ask replica ${incomplete.join(', ')}`;
  const count = `acknowledged by ${acknowledged} of ${selected} ${selected === 1 ? 'proxy' : 'proxies'}`;
  return done
    ? `${count} in ${Math.round(ms)} ms${missing}`
    : `${count}; still waiting for ${pending.join(', ') || 'the control plane'}${missing}`;
}
