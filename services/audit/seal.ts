import { canonical, sha256 } from './content.ts';
import type { AuditKey, Signature } from './signature.ts';

/** What a seal says of one entry. */
export interface SealedEntry {
  readonly id: string;
  /** etcd's revision at which it was written. */
  readonly resourceVersion: string;
  /** `contentHash` of it. */
  readonly hash: string;
  /** By the replica that wrote it; missing where there is no audit key. */
  readonly signature?: Signature | undefined;
}

/**
 * A link of the chain: which entries were written since the seal before, in what order, with what content.
 *
 * ```
 *   seal 1               seal 2               seal 3
 *   previous 000…   ◀──  previous hash₁  ◀──  previous hash₂
 *   entries a b c        entries d            entries e f
 *   hash₁                hash₂                hash₃
 * ```
 */
export interface Seal {
  /** From 1, without a gap. */
  readonly sequence: number;
  /** When it was made, in ISO 8601. */
  readonly time: string;
  /** Which replica made it. */
  readonly replica: string;
  /** The hash of the seal before; `NO_SEAL` for the first. */
  readonly previous: string;
  /** True for entries that were there before there were seals: of these it says only how they were found. */
  readonly adopted: boolean;
  readonly entries: readonly SealedEntry[];
  /** `sealHash` of all of the above. */
  readonly hash: string;
  readonly signature?: Signature | undefined;
}

/** Up to where entries and their seals were removed because they were old. The chain goes on from here. */
export interface Anchor {
  /** The newest seal that was removed. */
  readonly sequence: number;
  readonly hash: string;
  /** How many entries were removed in all. */
  readonly entries: number;
  /** When the newest removed seal was made, in ISO 8601. */
  readonly until: string;
  readonly signature?: Signature | undefined;
}

/** A seal by its number and hash: the newest one, or one that was noted. */
export interface Head {
  readonly sequence: number;
  readonly hash: string;
}

/** What the first seal names as the one before. */
export const NO_SEAL = '0'.repeat(64);

/** What is signed. */
export const SIGNED = { entry: 'entry', seal: 'seal', anchor: 'anchor' } as const;

export function sealHash({ sequence, time, replica, previous, adopted, entries }: Omit<Seal, 'hash' | 'signature'>): string {
  return sha256(canonical({ sequence, time, replica, previous, adopted, entries }));
}

/** The seal that follows `head`. */
export function makeSeal(
  head: Head,
  { time, replica, adopted, entries }: Pick<Seal, 'time' | 'replica' | 'adopted' | 'entries'>,
  key: AuditKey | undefined,
): Seal {
  const content = { sequence: head.sequence + 1, time, replica, previous: head.hash, adopted, entries };
  const hash = sealHash(content);
  return { ...content, hash, ...(key === undefined ? {} : { signature: key.sign(SIGNED.seal, hash) }) };
}

export function anchorHash({ sequence, hash, entries, until }: Omit<Anchor, 'signature'>): string {
  return sha256(canonical({ sequence, hash, entries, until }));
}

/** The anchor after `seal`, which is removed with its entries. */
export function moveAnchor(before: Anchor | undefined, seal: Seal, key: AuditKey | undefined): Anchor {
  const content = {
    sequence: seal.sequence,
    hash: seal.hash,
    entries: (before?.entries ?? 0) + seal.entries.length,
    until: seal.time,
  };
  return { ...content, ...(key === undefined ? {} : { signature: key.sign(SIGNED.anchor, anchorHash(content)) }) };
}
