import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../runtime.ts';
import type { Caller, Role, Scope } from './caller.ts';
import type { StoredToken } from './issued.ts';
import { digestOf, nameIn } from './secret.ts';

/** A token of the tokens file. These are good with etcd down, too. */
export interface Token extends Scope {
  readonly name: string;
  readonly role: Role;
  readonly token: string;
}

/** A token as it was presented, and what can be said of it for good. */
export interface Proof {
  readonly presented: string;
  readonly digest: Buffer;
  /** Whose of the tokens file it is; undefined = none's. */
  readonly inFile: Caller | undefined;
}

/** What became of a token. */
export type Found =
  | { readonly kind: 'known'; readonly caller: Caller }
  /** The token is right, and its time is over (milliseconds since the epoch): who holds it may know. */
  | { readonly kind: 'expired'; readonly name: string; readonly at: number }
  /** A user of the cluster whom no entry of the configuration lets in. */
  | { readonly kind: 'without-role'; readonly name: string }
  /** Never made, revoked, or wrong by a character: nobody learns which. */
  | { readonly kind: 'unknown' };

/** How old the copy of the issued tokens may be: one that was revoked since would still be in it. */
export type Trust =
  /** A second. Beyond that etcd is asked for the token. */
  | 'current'
  /** As old as the copy of the policies that is served to proxies. */
  | 'served'
  /** Whatever is remembered when the copy is older: for what only ever makes things safer, as a halt does. */
  | 'remembered';

export interface TokensOptions {
  /** The tokens of the file. */
  readonly file: readonly Token[];
  /** The issued tokens that this replica has seen. */
  readonly issued: ReadonlyMap<string, StoredToken>;
  /** How long ago that copy was known to be current, in milliseconds. */
  readonly copyAge: () => number;
  /** Whether the copy of the policies is served. */
  readonly served: () => boolean;
  /** Asks the store itself for an issued token. @throws StoreUnavailable */
  readonly ask: (name: string) => Promise<StoredToken | undefined>;
  /** Asks Kubernetes whose token it is; undefined for whom it doesn't know. @throws ReviewUnavailable */
  readonly kubernetes?: ((token: string) => Promise<Caller | { readonly stranger: string } | undefined>) | undefined;
  /** Whether a sidecar stands before the control plane: then a proxy shows its certificate, too. */
  readonly inMesh: boolean;
  readonly clock: Clock;
  /** What each caller may do a second. */
  readonly limits: Readonly<Record<Budget, { take(name: string): void }>>;
}

/** What is limited here. Changes have their limit where they are done. */
export type Budget = 'reads' | 'polls' | 'reports';

/** Older than this, the copy of the issued tokens is not trusted with a change or with what people read. */
const CURRENT_MS = 1000;

/** Every token that is good here: those of the file, those issued, and those of the cluster. */
export class Tokens {
  readonly #options: TokensOptions;
  readonly #file: readonly { readonly caller: Caller; readonly digest: Buffer }[];

  constructor(options: TokensOptions) {
    this.#options = options;
    this.#file = options.file.map(({ token, ...caller }) => ({ caller, digest: digestOf(token) }));
  }

  /** Looks a token up in the file. A poll that was held is judged twice by it. */
  proofOf(presented: string): Proof {
    const digest = digestOf(presented);
    // All of them, always: the time tells nothing of which is equal.
    let inFile: Caller | undefined;
    for (const known of this.#file) if (timingSafeEqual(digest, known.digest)) inFile = known.caller;
    return { presented, digest, inFile };
  }

  /** Whose token this is. @throws StoreUnavailable, ReviewUnavailable when who knows doesn't answer */
  async find({ presented, digest, inFile }: Proof, trust: Trust = 'current'): Promise<Found> {
    if (inFile !== undefined) return { kind: 'known', caller: inFile };
    const name = nameIn(presented);
    if (name === undefined) return this.#reviewed(presented);
    return this.#judge(await this.#issued(name, trust), digest);
  }

  get inMesh(): boolean {
    return this.#options.inMesh;
  }

  /** Takes one of what a caller may do. @throws Problem `too-many-requests` */
  spend(budget: Budget, caller: string): void {
    this.#options.limits[budget].take(caller);
  }

  /** Whether a name belongs to the file: an issued token can't have it. */
  inFile(name: string): boolean {
    return this.#file.some(({ caller }) => caller.name === name);
  }

  async #reviewed(presented: string): Promise<Found> {
    const found = await this.#options.kubernetes?.(presented);
    if (found === undefined) return { kind: 'unknown' };
    return 'stranger' in found ? { kind: 'without-role', name: found.stranger } : { kind: 'known', caller: found };
  }

  async #issued(name: string, trust: Trust): Promise<StoredToken | undefined> {
    const { issued, copyAge, served, ask } = this.#options;
    const remembered = issued.get(name);
    if (trust === 'served' ? served() : copyAge() <= CURRENT_MS) return remembered;
    // Without asking first: who wants to halt is in a hurry.
    if (trust === 'remembered' && remembered !== undefined) return remembered;
    return ask(name);
  }

  #judge(stored: StoredToken | undefined, digest: Buffer): Found {
    if (stored === undefined || !timingSafeEqual(digest, Buffer.from(stored.digest, 'hex'))) return { kind: 'unknown' };
    const { name, role, namespaces, expiresAt } = stored;
    if (expiresAt <= this.#options.clock.now()) return { kind: 'expired', name, at: expiresAt };
    return { kind: 'known', caller: { name, role, namespaces } };
  }
}
