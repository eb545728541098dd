import { isOver } from '../../policy/lifecycle.ts';
import type { StoredPolicy } from '../store/store.ts';

/** Policies by state at `now`, in milliseconds since the epoch. */
export function countPolicies(policies: Iterable<StoredPolicy>, now: number): { active: number; ended: number } {
  const counts = { active: 0, ended: 0 };
  for (const stored of policies) counts[isOver(stored, now) ? 'ended' : 'active']++;
  return counts;
}

interface Countable {
  readonly connected: boolean;
  readonly current: boolean;
  readonly refused: unknown;
  readonly unreadable: readonly string[];
}

/** Connected proxies, and how many of those run what they should, refuse a ruleset now or have an identity that can't be read. */
export function countProxies(proxies: Iterable<Countable>): { connected: number; current: number; refusing: number; unreadable: number } {
  const counts = { connected: 0, current: 0, refusing: 0, unreadable: 0 };
  for (const proxy of proxies) {
    if (!proxy.connected) continue;
    counts.connected++;
    if (proxy.current) counts.current++;
    // What it refused before and has replaced since is history.
    else if (proxy.refused !== null) counts.refusing++;
    if (proxy.unreadable.length > 0) counts.unreadable++;
  }
  return counts;
}
