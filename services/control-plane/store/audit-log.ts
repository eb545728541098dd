import type { Anchor, Head, Seal, SealedEntry } from '../../audit/seal.ts';
import type { AuditAction, AuditEntry, Page } from './store.ts';

export interface AuditQuery {
  /** How many at most. */
  readonly limit: number;
  /** `nextCursor` of the page before, of the same order; empty for the first page. */
  readonly cursor: string;
  /** `newest` goes by the entries' times; `oldest` by the order in which they were written. */
  readonly order: 'newest' | 'oldest';
  /** Milliseconds since the epoch: not before, and before. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly policy?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: AuditAction | undefined;
  /** Which entries may be seen; all of them if not given. */
  readonly seen?: ((entry: AuditEntry) => boolean) | undefined;
}

/** The newest seal, and what is before it. */
export interface CountedHead extends Head {
  /** How many entries were sealed in all. */
  readonly entries: number;
  /** Whether an entry was sealed that is not from before the chain: from then on there are no more of those. */
  readonly begun: boolean;
}

/** Entries without a seal, those from before the chain first, then in the order in which they were written, and the seal that they will follow, all of one moment. */
export interface Unsealed {
  readonly head: CountedHead;
  /** The revision at which the head was written. */
  readonly headRevision: number;
  readonly entries: readonly (SealedEntry & { readonly adopted: boolean })[];
}

/** What is removed next when something must go, all of one moment. */
export interface Oldest {
  /** Undefined when there is none. */
  readonly seal: Seal | undefined;
  readonly head: CountedHead;
  readonly anchor: Anchor | undefined;
  /** The revision at which the anchor was written; 0 when there is none. */
  readonly anchorRevision: number;
}

export interface SealPage {
  /** Oldest first. */
  readonly items: readonly Seal[];
  readonly nextCursor: number | null;
  readonly head: CountedHead;
  readonly anchor: Anchor | undefined;
  /** Ids of the entries that wait for their seal. */
  readonly waiting: readonly string[];
}

/**
 * Who did what, as it lies in the store. Every method throws `StoreUnavailable` when the store doesn't answer in time.
 */
export interface AuditLog {
  /** A page of entries. It can be short, or empty, and not the last: a filter looks through so many entries at a time. */
  list(query: AuditQuery): Promise<Page<AuditEntry>>;
  /** Seals after the sequence `after`; with the last page, what waits for one. */
  seals(limit: number, after: number): Promise<SealPage>;
  /** Begins the chain where there is none: what is there already will be sealed as it is found. */
  begin(): Promise<void>;
  unsealed(): Promise<Unsealed>;
  /** Adds the seal, unless another replica was faster. Tells whether it did. */
  add(seal: Seal, after: Unsealed): Promise<boolean>;
  oldest(): Promise<Oldest>;
  /** Removes the oldest seal with its entries, and has the chain begin at `anchor`, unless another replica was faster. Tells whether it did. */
  forget(oldest: Oldest & { readonly seal: Seal }, anchor: Anchor): Promise<boolean>;
}
