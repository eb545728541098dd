import { contentHash, type ShownEntry } from './content.ts';
import type { Finding, FindingKind, Verification } from './finding.ts';
import { type Anchor, anchorHash, type Head, NO_SEAL, type Seal, SIGNED, sealHash } from './seal.ts';
import type { AuditKey, Signature } from './signature.ts';

export interface VerifierOptions {
  /** Keys by which signatures are checked; none checks the hashes only. */
  readonly keys: readonly AuditKey[];
  /** A head that was noted earlier, elsewhere: it must still be in the chain. */
  readonly known?: Head | undefined;
}

interface Sealed {
  readonly hash: string;
  readonly resourceVersion: string;
  readonly sequence: number;
}

interface Found {
  readonly id: string;
  readonly hash: string;
  readonly resourceVersion: string;
}

/** Revisions of the entries whose seals are missing. */
interface Gap {
  readonly from: number;
  readonly to: number;
}

/**
 * Checks an audit: first the anchor, then every seal, oldest first, then every entry, in any order; `finish` says what is wrong.
 * It holds some 200 bytes an entry.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #sealed = new Map<string, Sealed>();
  /** Which entry was sealed with which content: tells what was moved or copied. */
  readonly #byHash = new Map<string, string>();
  readonly #seen = new Set<string>();
  /** Entries that no seal had when they came. */
  readonly #unsealed: Found[] = [];
  readonly #findings: Finding[] = [];
  readonly #gaps: Gap[] = [];
  #head: Head = { sequence: 0, hash: NO_SEAL };
  #anchor: Anchor | undefined;
  #revision = 0;
  /** A seal of entries that were not there before the chain has come. */
  #begun = false;
  #seals = 0;
  #entries = 0;
  #beforeChain = 0;
  #checked = 0;
  #unchecked = 0;
  #knownSeen = false;

  constructor(options: VerifierOptions) {
    this.#options = options;
  }

  /** Where the chain begins; undefined when nothing was removed yet. */
  takeAnchor(anchor: Anchor | undefined): void {
    this.#anchor = anchor;
    if (anchor === undefined) return;
    this.#head = { sequence: anchor.sequence, hash: anchor.hash };
    if (!this.#signed(SIGNED.anchor, anchorHash(anchor), anchor.signature)) {
      this.#find('anchor-changed', String(anchor.sequence), 'the note on what was removed is not signed by a control plane');
    }
    this.#lookForKnown(this.#head);
  }

  /**
   * The next seal.
   *
   * @param late it came while the entries were read, so they may lack what it says
   */
  takeSeal(seal: Seal, late = false): void {
    this.#seals++;
    this.#link(seal);
    if (sealHash(seal) !== seal.hash) this.#find('seal-changed', String(seal.sequence), 'its content does not give its hash');
    if (!this.#signed(SIGNED.seal, seal.hash, seal.signature))
      this.#find('seal-not-signed', String(seal.sequence), 'its signature does not fit');
    for (const entry of seal.entries) {
      const revision = Number(entry.resourceVersion);
      if (!seal.adopted) {
        if (revision < this.#revision) this.#find('moved', entry.id, `seal ${seal.sequence} has it behind a later one`);
        this.#revision = Math.max(this.#revision, revision);
        if (!this.#signed(SIGNED.entry, entry.hash, entry.signature))
          this.#find('not-signed', entry.id, `its signature in seal ${seal.sequence} does not fit`);
        this.#begun = true;
      } else if (this.#begun)
        this.#find('inserted', entry.id, `seal ${seal.sequence} has it as one from before the chain, which had begun`);
      else this.#beforeChain++;
      if (this.#sealed.has(entry.id))
        this.#find('seal-changed', String(seal.sequence), `it has the entry ${entry.id}, which an earlier one has too`);
      this.#sealed.set(entry.id, { hash: entry.hash, resourceVersion: entry.resourceVersion, sequence: seal.sequence });
      this.#byHash.set(entry.hash, entry.id);
      if (late) this.#seen.add(entry.id);
    }
    this.#head = { sequence: seal.sequence, hash: seal.hash };
    this.#lookForKnown(this.#head);
  }

  takeEntry(entry: ShownEntry): void {
    this.#entries++;
    const found = { id: entry.id, hash: contentHash(entry), resourceVersion: entry.resourceVersion };
    if (!this.#compare(found)) this.#unsealed.push(found);
  }

  /** Compares an entry with its seal. Tells whether it has one. */
  #compare({ id, hash, resourceVersion }: Found): boolean {
    const sealed = this.#sealed.get(id);
    if (sealed === undefined) return false;
    this.#seen.add(id);
    const by = `seal ${sealed.sequence}`;
    if (sealed.hash !== hash) {
      const other = this.#byHash.get(hash);
      if (other !== undefined) this.#find('moved', id, `it says what ${other} said when it was sealed`);
      else this.#find('changed', id, `its content does not give the hash that ${by} has`);
    } else if (sealed.resourceVersion !== resourceVersion) {
      this.#find('changed', id, `it was written again at revision ${resourceVersion}; ${by} has ${sealed.resourceVersion}`);
    }
    return true;
  }

  /**
   * @param end how it is at the end: entries that wait for their seal, the head that the store names, and the anchor, which may have
   *   moved on meanwhile
   */
  finish(end: {
    readonly waiting: ReadonlySet<string>;
    readonly head: Head | undefined;
    readonly anchor: Anchor | undefined;
  }): Verification {
    const forgotten = end.anchor?.sequence ?? 0;
    this.#checkHead(end.head);
    let waiting = 0;
    for (const found of this.#unsealed) {
      const { id, hash } = found;
      const revision = Number(found.resourceVersion);
      const copyOf = this.#byHash.get(hash);
      // A late seal may have it.
      if (this.#compare(found)) continue;
      if (end.waiting.has(id)) waiting++;
      else if (this.#gaps.some(({ from, to }) => revision > from && revision < to))
        this.#find('unsealed', id, 'the seal of its time is not there');
      else this.#find('inserted', id, copyOf === undefined ? 'it is in no seal' : `it is in no seal, and a copy of ${copyOf}`);
    }
    for (const [id, { sequence }] of this.#sealed) {
      if (!this.#seen.has(id) && sequence > forgotten) this.#find('removed', id, `seal ${sequence} has it`);
    }
    if (this.#options.known !== undefined && !this.#knownSeen && this.#options.known.sequence > forgotten) {
      const { sequence, hash } = this.#options.known;
      this.#find('head-missing', String(sequence), `no seal ${sequence} with the hash ${hash} is there`);
    }
    return {
      ok: this.#findings.length === 0,
      entries: this.#entries,
      seals: this.#seals,
      beforeChain: this.#beforeChain,
      waiting,
      forgotten: end.anchor === undefined ? null : { entries: end.anchor.entries, until: end.anchor.until },
      signatures: { checked: this.#checked, unchecked: this.#unchecked },
      head: this.#head.sequence === 0 ? null : this.#head,
      findings: this.#findings,
    };
  }

  /** Whether a seal follows the one before. */
  #link({ sequence, previous, entries }: Seal): void {
    const expected = this.#head.sequence + 1;
    if (sequence > expected) {
      const missing = sequence - expected === 1 ? `seal ${expected} is` : `seals ${expected} to ${sequence - 1} are`;
      this.#find('seal-removed', String(expected), `${missing} not there`);
      this.#gaps.push({ from: this.#revision, to: Number(entries[0]?.resourceVersion ?? Number.POSITIVE_INFINITY) });
    } else if (sequence < expected) {
      this.#find('seal-changed', String(sequence), `it stands behind seal ${this.#head.sequence}`);
    } else if (previous !== this.#head.hash) {
      const [of, detail] =
        this.#head.sequence === (this.#anchor?.sequence ?? 0)
          ? [sequence, 'it does not follow what was removed before it']
          : [this.#head.sequence, `seal ${sequence} followed another one`];
      this.#find('seal-changed', String(of), detail);
    }
  }

  #checkHead(head: Head | undefined): void {
    if (head === undefined) return;
    const { sequence, hash } = this.#head;
    if (head.sequence > sequence) {
      this.#find('seal-removed', String(sequence + 1), `the newest seal was ${head.sequence}`);
      this.#gaps.push({ from: this.#revision, to: Number.POSITIVE_INFINITY });
    } else if (head.sequence === sequence && head.hash !== hash)
      this.#find('seal-changed', String(sequence), 'it is not the one that was the newest');
  }

  #lookForKnown({ sequence, hash }: Head): void {
    const { known } = this.#options;
    if (known?.sequence === sequence && known.hash === hash) this.#knownSeen = true;
  }

  /** Whether nothing speaks against a signature. */
  #signed(purpose: string, hash: string, signature: Signature | undefined): boolean {
    const { keys } = this.#options;
    if (keys.length === 0) {
      if (signature !== undefined) this.#unchecked++;
      return true;
    }
    if (signature === undefined) return false;
    const key = keys.find(({ id }) => id === signature.key);
    // Any other key could be an attacker's own.
    if (key === undefined) return false;
    this.#checked++;
    return key.accepts(purpose, hash, signature);
  }

  #find(kind: FindingKind, of: string, detail: string): void {
    this.#findings.push({ kind, of, detail });
  }
}
