import type { Cancel } from '../runtime.ts';
import type { Group, Ruleset } from './group.ts';
import type { Requests, Traffic } from './traffic.ts';

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
  /** How many requests came by; undefined when its filter doesn't say. */
  readonly requests?: Requests | undefined;
  /** False when its filter reads another layout than this control plane writes. */
  readonly layoutFits: boolean;
}

/**
 * How a poll is answered: with a ruleset, with nothing new, or not at all: because the copy of the policies is old or missing, the filter
 * reads another layout, or its lease has to end.
 */
export type PollAnswer =
  | { readonly kind: 'ruleset'; readonly ruleset: Ruleset }
  | { readonly kind: 'nothing-new'; readonly version: string }
  | { readonly kind: 'stale' }
  | { readonly kind: 'layout' }
  | { readonly kind: 'lapse' };

/** Whether who polls is still there: an `AbortSignal`, or what costs less. */
export interface Leaving {
  readonly aborted: boolean;
  addEventListener(left: 'abort', listener: () => void): void;
  removeEventListener(left: 'abort', listener: () => void): void;
}

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
  readonly traffic: Traffic;
  /** When an answer renewed its lease last, in milliseconds since the epoch; undefined before the first. */
  renewed: number | undefined;
  /** The ruleset that it was sent last, and how many it had refused by then. */
  sent: { readonly version: string; readonly refusals: number } | undefined;
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

/** Notes that it is sent a ruleset, as the answer to its poll. */
export function sent(proxy: KnownProxy, ruleset: Ruleset): PollAnswer {
  proxy.sent = { version: ruleset.version, refusals: proxy.hello.refused?.count ?? 0 };
  return { kind: 'ruleset', ruleset };
}

/** Whether it was sent this ruleset and refused it. */
export function hasRefused({ hello, sent }: KnownProxy, { version }: Ruleset): boolean {
  return sent?.version === version && hello.has !== version && (hello.refused?.count ?? 0) > sent.refusals;
}

/** When its lease ends unless it is answered again, in milliseconds since the epoch; undefined when this replica never answered it. */
export function leaseEnd(proxy: KnownProxy): number | undefined {
  return proxy.renewed === undefined ? undefined : proxy.renewed + proxy.hello.leaseMs;
}

/** Until when it is listed, in milliseconds since the epoch. */
export function listedUntil(proxy: KnownProxy): number {
  return proxy.lastSeen + Math.max(LISTED_MS, proxy.hello.leaseMs);
}

export function isConnected(proxy: KnownProxy, now: number): boolean {
  return proxy.waiter !== undefined || (!proxy.gone && now < connectedUntil(proxy));
}
