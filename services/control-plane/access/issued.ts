import type { Role, Scope } from './caller.ts';

/** What is said of an issued token. */
export interface TokenRecord extends Scope {
  readonly role: Role;
  /** Milliseconds since the epoch; from then on it is refused. */
  readonly expiresAt: number;
}

/** An issued token as it lies in the store: everything but the token. */
export interface StoredToken extends TokenRecord {
  /** A DNS label, unique. */
  readonly name: string;
  /** SHA-256 of the token, in hex. */
  readonly digest: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Who made it. */
  readonly createdBy: string;
  /** The store's revision of its making. */
  readonly revision: number;
  /** The store's lease that sweeps it some time after its end. */
  readonly lease: string;
}

/** Seconds that an issued token lives: at least, if nothing is said, at most. */
export const LIFE_SECONDS = { least: 60, usual: 30 * 86_400, most: 366 * 86_400 } as const;
