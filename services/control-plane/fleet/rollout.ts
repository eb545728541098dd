import { selects } from '../../policy/selector.ts';
import type { Runtime } from '../runtime.ts';
import type { StoredPolicy } from '../store/store.ts';
import type { Fleet } from './fleet.ts';
import { isConnected, type KnownProxy, leaseEnd } from './proxy.ts';

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

/** Until when a proxy that has not acknowledged, connected or not, may go on with what it runs. */
export interface OpenLease {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
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
  /** Those that this replica knows of and that have not ended. */
  readonly leases: readonly OpenLease[];
  /** Of a halt: until when proxies of which no replica has heard may go on, in milliseconds since the epoch; null when there can be none. */
  readonly unheardUntil: number | null;
}

/** What a replica knows when it is asked for a rollout. */
export interface RolloutView {
  readonly fleet: Fleet;
  readonly runtime: Runtime;
  /** The newest revision that this replica has seen completely. */
  readonly seen: () => number;
  readonly policy: (name: string) => StoredPolicy | undefined;
  /** Until when proxies may go on of which no replica has heard. */
  readonly unheard: (namespace: string | undefined) => number | undefined;
  /** Whether proxies of a namespace may be told of. */
  readonly sees: (namespace: string) => boolean;
}

/** What is rolled out, and to whom. */
export interface Change {
  readonly revision: number;
  /** Look only at the proxies that this policy selects. */
  readonly policy?: string | undefined;
  /** Look only at the proxies of this namespace. */
  readonly namespace?: string | undefined;
  /** It is a halt: who should run something that isn't halted has not heard of it. */
  readonly halted?: boolean | undefined;
}

/** Whether the connected proxies that a change concerns run what they should at its revision or later. */
export function rolloutNow(view: RolloutView, change: Change): Rollout {
  const now = view.runtime.clock.now();
  const concerned = whomIn(view, change);
  const proxies: RolloutProxy[] = [];
  const disconnected: string[] = [];
  const leases: OpenLease[] = [];
  for (const proxy of view.fleet.proxies) {
    if (!view.sees(proxy.hello.namespace) || !concerned(proxy)) continue;
    const { ruleset } = proxy.group;
    const connected = isConnected(proxy, now);
    const wants = change.halted !== true || ruleset.halted;
    const acknowledged = wants && proxy.hello.acknowledged === ruleset.version;
    const endsAt = leaseEnd(proxy);
    if (!acknowledged && endsAt !== undefined && endsAt > now) leases.push({ name: proxy.hello.name, endsAt });
    if (!connected) {
      disconnected.push(proxy.hello.name);
      continue;
    }
    proxies.push({
      name: proxy.hello.name,
      acknowledged,
      version: proxy.hello.acknowledged,
      since: proxy.acknowledgedAt ?? null,
      wanted: ruleset.version,
      reason: acknowledged ? null : wants ? whyNot(proxy) : 'its replica has not heard of the halt',
      lastSeen: proxy.waiter === undefined ? proxy.lastSeen : now,
    });
  }
  proxies.sort((a, b) => (a.name < b.name ? -1 : 1));
  const acknowledged = proxies.filter((proxy) => proxy.acknowledged).length;
  const seen = view.seen() >= change.revision;
  const unheardUntil = (change.halted === true ? view.unheard(change.namespace) : undefined) ?? null;
  return {
    revision: change.revision,
    seen,
    done: seen && acknowledged === proxies.length && unheardUntil === null,
    selected: proxies.length,
    acknowledged,
    proxies,
    disconnected: disconnected.sort(),
    leases,
    unheardUntil,
  };
}

function whomIn(view: RolloutView, { policy, namespace }: Change): (proxy: KnownProxy) => boolean {
  const stored = policy === undefined ? undefined : view.policy(policy);
  return (proxy) => {
    if (namespace !== undefined && proxy.group.identity.namespace !== namespace) return false;
    return policy === undefined || (stored !== undefined && isFor(stored, proxy));
  };
}

function isFor({ policy, chosen }: StoredPolicy, { hello, group }: KnownProxy): boolean {
  return selects(policy.spec.selector, group.identity) && (chosen?.includes(hello.name) ?? true);
}

/** The same, held until it is done, the wait ends or the client is gone. */
export function rollout(view: RolloutView, change: Change, waitMs: number, signal: AbortSignal): Promise<Rollout> {
  const at = rolloutNow(view, change);
  if (at.done || waitMs <= 0 || signal.aborted) return Promise.resolve(at);
  return new Promise((resolve) => {
    const finish = (result: Rollout): void => {
      ignore();
      cancel();
      signal.removeEventListener('abort', stop);
      resolve(result);
    };
    const stop = (): void => finish(rolloutNow(view, change));
    const ignore = view.fleet.onChange(() => {
      const current = rolloutNow(view, change);
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
