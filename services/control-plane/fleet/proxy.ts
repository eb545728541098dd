import type { Cancel } from '../runtime.ts';
import type { Group, Ruleset } from './group.ts';

/** What one poll says of its proxy (`filter/assembly/protocol.ts`). */
export interface Hello {
  readonly name: string;
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The version that all its workers run; empty before the first. */
  readonly acknowledged: string;
  /** The version that the poll has already, from `if-none-match`; empty for none. */
  readonly has: string;
  readonly refused: { readonly count: number; readonly reason: string } | null;
  readonly unreadable: readonly string[];
  readonly pollFailures: number;
  readonly filter: string;
  readonly vms: number;
  readonly leaseMs: number;
  /** False when its filter reads another layout than this control plane writes. */
  readonly layoutFits: boolean;
}

/** How a poll is answered: with a ruleset, with nothing new, or not at all because the copy of the policies is old or missing. */
export type PollAnswer =
  | { readonly kind: 'ruleset'; readonly ruleset: Ruleset }
  | { readonly kind: 'nothing-new'; readonly version: string }
  | { readonly kind: 'stale' }
  | { readonly kind: 'layout' };

export interface Waiter {
  /** Answers the poll, once; later calls do nothing. */
  readonly settle: (answer: PollAnswer) => void;
}

/** One proxy, as this replica knows it. */
export interface KnownProxy {
  hello: Hello;
  group: Group;
  readonly firstSeen: number;
  /** When this replica first heard that it runs what it runs, in milliseconds since the epoch. */
  acknowledgedAt: number | undefined;
  lastSeen: number;
  /** The poll it holds open, if it does. One at a time: a later one supersedes it. */
  waiter: Waiter | undefined;
  /** Its last connection went away while it waited. */
  gone: boolean;
  /** Ends its being connected, or its being listed. */
  cancelTimer: Cancel;
}

/** A proxy between two polls is silent for at most its longest backoff (5 s) and what the network takes. */
const BETWEEN_POLLS_MS = 7000;
/** A silent proxy stays listed for this long at least. */
const LISTED_MS = 60_000;

/** Until when a proxy that holds no poll counts as connected, in milliseconds since the epoch. */
export function connectedUntil(proxy: KnownProxy): number {
  return proxy.lastSeen + Math.min(BETWEEN_POLLS_MS, Math.max(proxy.hello.leaseMs, 1000));
}

/** Until when it is listed, in milliseconds since the epoch. */
export function listedUntil(proxy: KnownProxy): number {
  return proxy.lastSeen + Math.max(LISTED_MS, proxy.hello.leaseMs);
}

export function isConnected(proxy: KnownProxy, now: number): boolean {
  return proxy.waiter !== undefined || (!proxy.gone && now < connectedUntil(proxy));
}
