/** What can be wrong with an audit. */
export const FINDINGS = {
  changed: 'says something else than when it was sealed',
  moved: "stands in another entry's place",
  removed: 'was sealed and is not there',
  inserted: 'was put in: it is in no seal, and waits for none',
  unsealed: 'can not be checked: its seal is not there',
  'not-signed': 'is not signed by a control plane',
  'seal-changed': 'says something else than when it was made',
  'seal-removed': 'is not there',
  'seal-not-signed': 'is not signed by a control plane',
  'anchor-changed': 'says something else than when it was made',
  'head-missing': 'is not in the chain',
} as const;

export type FindingKind = keyof typeof FINDINGS;

/** One thing that is wrong, with the name of what it is wrong with. */
export interface Finding {
  readonly kind: FindingKind;
  /** The entry's id, or the seal's sequence. */
  readonly of: string;
  readonly detail: string;
}

/** What a verification found. */
export interface Verification {
  readonly ok: boolean;
  /** Entries and seals that were looked at. */
  readonly entries: number;
  readonly seals: number;
  /** Entries from before the chain: they are as they were when the chain began; of what was before that nothing is known. */
  readonly beforeChain: number;
  /** Entries so new that they wait for their seal. */
  readonly waiting: number;
  /** What was removed because it was old; null when nothing was. */
  readonly forgotten: { readonly entries: number; readonly until: string } | null;
  /** Signatures that were checked, and those for which no key was given. */
  readonly signatures: { readonly checked: number; readonly unchecked: number };
  /** The newest seal. Kept elsewhere it shows later that nothing of this was taken away; null when there is none. */
  readonly head: { readonly sequence: number; readonly hash: string } | null;
  readonly findings: readonly Finding[];
}
