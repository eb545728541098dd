import { selects } from '../../policy/selector.ts';
import type { Runtime } from '../runtime.ts';
import type { StoredPolicy } from '../store/store.ts';
import type { Fleet } from './fleet.ts';
import { isConnected, type KnownProxy } from './proxy.ts';

export interface RolloutProxy {
  readonly name: string;
  readonly acknowledged: boolean;
  readonly version: string;
  /** Since when it is known to run that, in milliseconds since the epoch; null for none. */
  readonly since: number | null;
  readonly wanted: string;
  /** Why it hasn't acknowledged, as far as it is known. */
  readonly reason: string | null;
  /** When this replica heard of it last, in milliseconds since the epoch; now for one whose poll it holds. */
  readonly lastSeen: number;
}

export interface Rollout {
  readonly revision: number;
  /** Whether this replica has seen the revision. */
  readonly seen: boolean;
  readonly done: boolean;
  readonly selected: number;
  readonly acknowledged: number;
  readonly proxies: readonly RolloutProxy[];
  /** Proxies that it concerns and that are known, but not connected: nobody can tell what they run. */
  readonly disconnected: readonly string[];
}

/** What a replica knows when it is asked for a rollout. */
export interface RolloutView {
  readonly fleet: Fleet;
  readonly runtime: Runtime;
  /** The newest revision that this replica has seen completely. */
  readonly seen: () => number;
  readonly policy: (name: string) => StoredPolicy | undefined;
  /** Whether proxies of a namespace may be told of. */
  readonly sees: (namespace: string) => boolean;
}

/** Whether the connected proxies, those that `policy` selects if it is named, run what they should at `revision` or later. */
export function rolloutNow(view: RolloutView, revision: number, policy: string | undefined): Rollout {
  const now = view.runtime.clock.now();
  const stored = policy === undefined ? undefined : view.policy(policy);
  const proxies: RolloutProxy[] = [];
  const disconnected: string[] = [];
  for (const proxy of view.fleet.proxies) {
    if (!view.sees(proxy.hello.namespace)) continue;
    if (policy !== undefined && (stored === undefined || !isFor(stored, proxy))) continue;
    if (!isConnected(proxy, now)) {
      disconnected.push(proxy.hello.name);
      continue;
    }
    const wanted = proxy.group.ruleset.version;
    const acknowledged = proxy.hello.acknowledged === wanted;
    proxies.push({
      name: proxy.hello.name,
      acknowledged,
      version: proxy.hello.acknowledged,
      since: proxy.acknowledgedAt ?? null,
      wanted,
      reason: acknowledged ? null : whyNot(proxy),
      lastSeen: proxy.waiter === undefined ? proxy.lastSeen : now,
    });
  }
  proxies.sort((a, b) => (a.name < b.name ? -1 : 1));
  const acknowledged = proxies.filter((proxy) => proxy.acknowledged).length;
  const seen = view.seen() >= revision;
  return {
    revision,
    seen,
    done: seen && acknowledged === proxies.length,
    selected: proxies.length,
    acknowledged,
    proxies,
    disconnected: disconnected.sort(),
  };
}

function isFor({ policy, chosen }: StoredPolicy, { hello, group }: KnownProxy): boolean {
  return selects(policy.spec.selector, group.identity) && (chosen?.includes(hello.name) ?? true);
}

/** The same, held until it is done, the wait ends or the client is gone. */
export function rollout(
  view: RolloutView,
  revision: number,
  policy: string | undefined,
  waitMs: number,
  signal: AbortSignal,
): Promise<Rollout> {
  const at = rolloutNow(view, revision, policy);
  if (at.done || waitMs <= 0 || signal.aborted) return Promise.resolve(at);
  return new Promise((resolve) => {
    const finish = (result: Rollout): void => {
      ignore();
      cancel();
      signal.removeEventListener('abort', stop);
      resolve(result);
    };
    const stop = (): void => finish(rolloutNow(view, revision, policy));
    const ignore = view.fleet.onChange(() => {
      const current = rolloutNow(view, revision, policy);
      if (current.done) finish(current);
    });
    const cancel = view.runtime.timers.after(waitMs, stop);
    signal.addEventListener('abort', stop, { once: true });
  });
}

function whyNot(proxy: KnownProxy): string {
  if (!proxy.hello.layoutFits) return 'its filter reads another ruleset layout than this control plane writes';
  if (proxy.hello.refused !== null) return `it refused a ruleset: ${proxy.hello.refused.reason}`;
  if (proxy.hello.acknowledged === '') return 'it has not acknowledged any ruleset yet';
  return 'it still runs an earlier ruleset';
}
