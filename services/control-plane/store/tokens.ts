import type { ICompare, IKeyValue, IRequestOp } from 'etcd3';
import type { StoredToken, TokenRecord } from '../access/issued.ts';
import { asked } from './asked.ts';
import type { EtcdClient } from './client.ts';
import { endOf, PRINCIPALS } from './keys.ts';
import type { AuditAction, Origin } from './store.ts';
import { encode, readToken, type TokenValue } from './value.ts';

/** How long a token that ended stays in the list, in seconds; then its lease removes it. */
const KEEP_EXPIRED_SECONDS = 7 * 86_400;

/** What the audit says of a change of a token. */
export interface TokenChange {
  readonly action: Extract<AuditAction, 'create-token' | 'revoke-token'>;
  readonly token: string;
  readonly before: TokenRecord | null;
  readonly after: TokenRecord | null;
}

export interface TokenStoreParts {
  readonly client: EtcdClient;
  /** Runs changes and their audit entry in one transaction; whether the comparison held. */
  readonly audited: (compare: ICompare, change: IRequestOp, entry: TokenChange, origin: Origin) => Promise<boolean>;
  /** A lease without keep-alive of so many seconds. */
  readonly lease: (seconds: number) => Promise<string>;
  readonly giveBack: (lease: string) => void;
}

/** The issued tokens in etcd, by name. Every method throws as the store's do. */
export class TokenStore {
  readonly #parts: TokenStoreParts;

  constructor(parts: TokenStoreParts) {
    this.#parts = parts;
  }

  /** The token's record as the store has it now. */
  async get(name: string): Promise<StoredToken | undefined> {
    const found = await asked(this.#parts.client.keys.range({ key: keyOf(name) }));
    return found.kvs.map(readToken)[0];
  }

  /** All records by name. */
  async list(): Promise<StoredToken[]> {
    const found = await asked(this.#parts.client.keys.range({ key: Buffer.from(PRINCIPALS), range_end: Buffer.from(endOf(PRINCIPALS)) }));
    return found.kvs.flatMap((pair: IKeyValue) => readToken(pair) ?? []);
  }

  /** Keeps a new token's record, unless the name is taken. */
  async create(name: string, value: TokenValue, origin: Origin): Promise<boolean> {
    const lease = await this.#parts.lease(Math.ceil((value.expiresAt - origin.time) / 1000) + KEEP_EXPIRED_SECONDS);
    const done = await this.#parts.audited(
      { key: keyOf(name), target: 'Version', result: 'Equal', version: 0 },
      { request_put: { key: keyOf(name), value: encode(value), lease } },
      { action: 'create-token', token: name, before: null, after: recordOf(value) },
      origin,
    );
    if (!done) this.#parts.giveBack(lease);
    return done;
  }

  /** Removes a record if it is still the one that was read. */
  async remove(base: StoredToken, origin: Origin): Promise<boolean> {
    const key = keyOf(base.name);
    const done = await this.#parts.audited(
      { key, target: 'Mod', result: 'Equal', mod_revision: base.revision },
      { request_delete_range: { key } },
      { action: 'revoke-token', token: base.name, before: recordOf(base), after: null },
      origin,
    );
    if (done) this.#parts.giveBack(base.lease);
    return done;
  }
}

/** What the audit and the list may say of a token: nothing of its digest. */
function recordOf({ role, namespaces, expiresAt }: TokenRecord): TokenRecord {
  return { role, ...(namespaces === undefined ? {} : { namespaces }), expiresAt };
}

function keyOf(name: string): Buffer {
  return Buffer.from(`${PRINCIPALS}${name}`);
}
