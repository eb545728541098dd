import type { End } from '../../policy/lifecycle.ts';
import type { Policy } from '../../policy/schema.ts';
import type { StoredToken, TokenRecord } from '../access/issued.ts';
import type { RunResult } from '../counts/shown.ts';
import type { Halt } from './halts.ts';
import type { TokenStore } from './tokens.ts';

/** A policy as it lies in the store. */
export interface StoredPolicy {
  readonly policy: Policy;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** When its rules' time began, in milliseconds since the epoch. */
  readonly appliedAt: number;
  /** The store's revision of its last change; `resourceVersion` in the API. */
  readonly revision: number;
  /** The only proxies that it is for, by name, where guardrails limit how many; undefined = all that it selects. */
  readonly chosen?: readonly string[] | undefined;
  /** The last time that its owner renewed the lease; undefined when there was none since the apply. */
  readonly renewal?: Renewal | undefined;
  /** Once it has ended; it stays a short while to be seen, and is in the history. */
  readonly ended?: WrittenEnd | undefined;
}

export interface Renewal {
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** The store's revision of it. */
  readonly revision: number;
}

/** An end, and who brought it about. */
export interface WrittenEnd extends End {
  readonly by: Actor;
}

/** A run that ended, in the history. */
export interface PastRun extends StoredPolicy {
  readonly id: string;
  readonly ended: WrittenEnd;
  /** What it did in all; null until its last counts are there, and when nobody knows them any more. */
  readonly result: RunResult | null;
}

export interface Actor {
  readonly name: string;
  readonly role: string;
}

/** Who does what nobody asks for at that moment. */
export const CONTROL_PLANE: Actor = { name: 'hfi', role: 'control-plane' };

export const AUDIT_ACTIONS = ['create', 'replace', 'delete', 'end', 'result', 'halt', 'resume', 'create-token', 'revoke-token'] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** What a run did in all, as its last audit entry says it. */
export interface AuditedResult {
  /** When the run was applied, as ISO 8601 says it: entries are hashed as they are shown. */
  readonly appliedAt: string;
  readonly verdict: RunResult['verdict'];
  readonly matched: number;
  readonly injected: number;
}

export interface AuditEntry {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly actor: Actor;
  readonly address: string;
  readonly action: AuditAction;
  /** The policy that was changed; empty when it was a halt or a token. */
  readonly policy: string;
  /** How it ended, of the action `end`. */
  readonly end?: Pick<End, 'reason' | 'why'> | undefined;
  /** What the run did that ended, of the action `result`. */
  readonly result?: AuditedResult | undefined;
  /** What was halted or resumed, null = everything, and the reason of the halt. */
  readonly halt?: { readonly namespace: string | null; readonly reason: string };
  /** The token that was created or revoked, by its name. */
  readonly token?: string | undefined;
  /** The revision that the change made. */
  readonly revision: number;
  readonly before: Policy['spec'] | TokenRecord | null;
  readonly after: Policy['spec'] | TokenRecord | null;
}

/** Who changes something, from where, when. */
export interface Origin {
  readonly actor: Actor;
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/**
 * The change went through; or the policy isn't at the revision that the change was made for (`current` is what is there), or what it selects
 * is halted.
 */
export type Outcome<T> =
  | { readonly done: true; readonly value: T }
  | { readonly done: false; readonly current: StoredPolicy | undefined; readonly halt?: Halt | undefined };

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; null when this is the last. */
  readonly nextCursor: string | null;
}

/**
 * Where the control plane's state lies. Every method throws `StoreUnavailable` when the store doesn't answer in time, and
 * `StoreRefused` when it answers that it can't take the value. A change and its audit entry are one transaction.
 */
export interface Store {
  /** The policy as the store has it now, not as some replica remembers it. */
  get(name: string): Promise<StoredPolicy | undefined>;
  /** Policies by name, beginning after the name `after`. */
  list(limit: number, after: string): Promise<Page<StoredPolicy>>;
  /**
   * Begins a run of the policy, if it is still at `base` (undefined = not there) and nothing that it can select is halted. A run that goes on
   * there ends with it.
   *
   * @param chosen the only proxies that it is for
   */
  put(policy: Policy, base: StoredPolicy | undefined, origin: Origin, chosen?: readonly string[]): Promise<Outcome<StoredPolicy>>;
  /** Asks whether the policy is still at `base`. */
  unchanged(base: StoredPolicy): Promise<Outcome<StoredPolicy>>;
  /** Removes the policy if it is still at `base`; gives the revision of the removal. A run that goes on there ends with it. */
  remove(base: StoredPolicy, origin: Origin): Promise<Outcome<number>>;
  /** The issued tokens. */
  readonly tokens: TokenStore;
  /**
   * Ends the run that goes on at `base`, if nobody changed it or renewed its lease meanwhile: its end is written, and it goes into the
   * history. So one replica ends it, whichever is first.
   */
  end(base: StoredPolicy, end: End, origin: Origin): Promise<Outcome<StoredPolicy>>;
  /** Renews the owner's lease, if the policy is still at `base`. @param until milliseconds since the epoch */
  renew(base: StoredPolicy, until: number): Promise<Outcome<StoredPolicy>>;
  /** Makes this replica known to the others until `withdraw`. */
  register(id: string, url: string): Promise<void>;
  withdraw(): Promise<void>;
  /** Whether the store answers, asked now. */
  ping(): Promise<boolean>;
  close(): void;
}

/** The store didn't answer in time. A change may or may not have been done. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** The store answered that it can't do this, such as a value that is too large. */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused';
}

/** What a replica follows. */
export interface Followed {
  readonly policies: ReadonlyMap<string, StoredPolicy>;
  /** Issued tokens by name. */
  readonly tokens: ReadonlyMap<string, StoredToken>;
  /** Replicas by name, with the URL at which they answer. */
  readonly replicas: ReadonlyMap<string, string>;
}

export interface Change {
  readonly name: string;
  readonly before: StoredPolicy | undefined;
  readonly after: StoredPolicy | undefined;
}
