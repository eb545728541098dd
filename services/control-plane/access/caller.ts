import type { Actor } from '../store/store.ts';

/** What a caller may do. `admin` may everything; `editor` reads and writes policies; `viewer` reads; `proxy` polls and reports. */
export const ROLES = ['admin', 'editor', 'viewer', 'proxy'] as const;
export type Role = (typeof ROLES)[number];

/** Where somebody may act. */
export interface Scope {
  /** The only namespaces that it is for; missing = all of them, and what belongs to none. */
  readonly namespaces?: readonly string[] | undefined;
}

/** Who sends a request. Its name is unique among all callers: limits go by it, and the audit shows it. */
export interface Caller extends Actor, Scope {
  readonly role: Role;
}
