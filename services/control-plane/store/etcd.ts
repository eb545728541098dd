import type { IKeyValue, IRequestOp } from 'etcd3';
import type { AuditKey } from '../../audit/signature.ts';
import { policyEnd } from '../../policy/end.ts';
import type { Policy } from '../../policy/schema.ts';
import type { Runtime } from '../runtime.ts';
import { asked, translated } from './asked.ts';
import { AuditWriter } from './audit-writer.ts';
import type { EtcdConnection, KeptLease } from './client.ts';
import { AUDIT, auditId, endOf, POLICIES, REPLICAS } from './keys.ts';
import { type AuditAction, type Origin, type Outcome, type Page, type Store, type StoredPolicy, StoreRefused } from './store.ts';
import { type AuditValue, encode, type PolicyValue, readPolicy } from './value.ts';

/** A replica that dies is forgotten after this many seconds. */
const REPLICA_TTL_SECONDS = 10;

export interface EtcdStoreOptions {
  /** How long a policy stays readable after its end, in seconds; then its lease removes it. */
  readonly keepEndedSeconds: number;
  /** Signs audit entries. */
  readonly auditKey?: AuditKey | undefined;
  /** Told when an audit entry was written, so that it is sealed soon. */
  readonly audited?: () => void;
}

/** The store in etcd. Each change is one transaction on the policy's mod revision; only a policy that ends costs a lease before it. */
export class EtcdStore implements Store {
  readonly #client: EtcdConnection;
  readonly #runtime: Runtime;
  readonly #options: EtcdStoreOptions;
  readonly #audit: AuditWriter;
  #registration: KeptLease | undefined;
  #withdrawn = false;

  constructor(client: EtcdConnection, runtime: Runtime, options: EtcdStoreOptions) {
    this.#client = client;
    this.#runtime = runtime;
    this.#options = options;
    this.#audit = new AuditWriter(runtime.random, options.auditKey);
  }

  async get(name: string): Promise<StoredPolicy | undefined> {
    const found = await asked(this.#client.keys.range({ key: policyKey(name) }));
    return first(found.kvs);
  }

  async list(limit: number, after: string): Promise<Page<StoredPolicy>> {
    const found = await asked(
      this.#client.keys.range({ key: justAfter(POLICIES, after), range_end: Buffer.from(endOf(POLICIES)), limit: limit + 1 }),
    );
    const items = found.kvs.flatMap((pair) => readPolicy(pair) ?? []);
    return pageOf(items, limit, (item) => item.policy.metadata.name);
  }

  async put(policy: Policy, base: StoredPolicy | undefined, origin: Origin): Promise<Outcome<StoredPolicy>> {
    const name = policy.metadata.name;
    const value: PolicyValue = { policy, createdAt: base?.createdAt ?? origin.time, appliedAt: origin.time };
    const lease = await this.#leaseFor(policyEnd(policy, origin.time));
    const put: IRequestOp = { request_put: { key: policyKey(name), value: encode(value), ...(lease === '0' ? {} : { lease }) } };
    const audit = this.#entry(base === undefined ? 'create' : 'replace', name, base, policy, origin);
    const result = await this.#ifAt(name, base, [put, ...audit]).catch((error: unknown) => {
      // Without an answer the policy may be there, and the lease would take it along: only a refusal is certain.
      if (error instanceof StoreRefused) this.#revoke(lease);
      throw error;
    });
    this.#revoke(result.done ? (base?.lease ?? '0') : lease);
    if (!result.done) return result;
    return { done: true, value: { ...value, revision: result.value, lease } };
  }

  async unchanged(base: StoredPolicy): Promise<Outcome<StoredPolicy>> {
    const result = await this.#ifAt(base.policy.metadata.name, base, []);
    return result.done ? { done: true, value: base } : result;
  }

  async remove(base: StoredPolicy, origin: Origin): Promise<Outcome<number>> {
    const name = base.policy.metadata.name;
    const result = await this.#ifAt(name, base, [
      { request_delete_range: { key: policyKey(name) } },
      ...this.#entry('delete', name, base, undefined, origin),
    ]);
    if (result.done) this.#revoke(base.lease);
    return result;
  }

  async noteEnd(ended: StoredPolicy, origin: Origin): Promise<void> {
    const name = ended.policy.metadata.name;
    const rest = `end-${name}-${ended.revision}`;
    const entry: AuditValue = { ...origin, action: 'end', policy: name, before: ended.policy.spec, after: null };
    const result = await asked(
      this.#client.keys.txn({
        compare: [
          { key: Buffer.from(`${AUDIT}${auditId(origin.time, rest)}`), target: 'Version', result: 'Equal', version: 0 },
          { key: policyKey(name), target: 'Mod', result: 'Equal', mod_revision: ended.revision },
        ],
        success: this.#audit.ops(entry, rest),
      }),
    );
    if (result.succeeded) this.#options.audited?.();
  }

  async register(id: string, url: string): Promise<void> {
    if (this.#withdrawn) return;
    // The one lease that must keep itself alive: it says that this replica runs.
    const lease = this.#client.lease(REPLICA_TTL_SECONDS);
    this.#registration = lease;
    lease.on('lost', () => {
      this.#runtime.timers.after(500, () => void this.register(id, url).catch(() => undefined));
    });
    try {
      await lease.put(`${REPLICAS}${id}`).value(JSON.stringify({ url })).exec();
    } catch (error) {
      throw translated(error);
    }
  }

  async withdraw(): Promise<void> {
    this.#withdrawn = true;
    await this.#registration?.revoke().catch(() => undefined);
  }

  async revision(): Promise<number> {
    const { header } = await asked(this.#client.keys.range({ key: Buffer.from(POLICIES), count_only: true }));
    return Number(header.revision);
  }

  async ping(): Promise<boolean> {
    try {
      await this.revision();
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#client.close();
  }

  /** Runs `changes` if the policy is still at `base`, all in one transaction; gives its revision. */
  async #ifAt(name: string, base: StoredPolicy | undefined, changes: IRequestOp[]): Promise<Outcome<number>> {
    const key = policyKey(name);
    const result = await asked(
      this.#client.keys.txn({
        compare: [{ key, target: 'Mod', result: 'Equal', mod_revision: base?.revision ?? 0 }],
        success: changes,
        failure: [{ request_range: { key } }],
      }),
    );
    if (result.succeeded) {
      if (changes.length > 0) this.#options.audited?.();
      return { done: true, value: Number(result.header.revision) };
    }
    return { done: false, current: first(result.responses[0]?.response_range.kvs ?? []) };
  }

  #entry(action: AuditAction, name: string, before: StoredPolicy | undefined, after: Policy | undefined, origin: Origin): IRequestOp[] {
    return this.#audit.ops({ ...origin, action, policy: name, before: before?.policy.spec ?? null, after: after?.spec ?? null });
  }

  /** A lease without keep-alive that outlasts the policy: only the broom, the law is the end in the policy. */
  async #leaseFor(end: number): Promise<string> {
    if (end === 0) return '0';
    const seconds = Math.max(1, Math.ceil((end - this.#runtime.clock.now()) / 1000) + this.#options.keepEndedSeconds);
    const granted = await asked(this.#client.leases.leaseGrant({ TTL: seconds }));
    return granted.ID;
  }

  /** Gives a lease back that no key needs any longer. If that fails, it ends by itself. */
  #revoke(lease: string): void {
    if (lease !== '0') this.#client.leases.leaseRevoke({ ID: lease }).catch(() => undefined);
  }
}

function policyKey(name: string): Buffer {
  return Buffer.from(`${POLICIES}${name}`);
}

/** The first key that can follow `prefix + after`. */
function justAfter(prefix: string, after: string): Buffer {
  return Buffer.from(after === '' ? prefix : `${prefix}${after}\0`);
}

function first(pairs: IKeyValue[]): StoredPolicy | undefined {
  const [pair] = pairs;
  return pair === undefined ? undefined : readPolicy(pair);
}

function pageOf<T>(found: readonly T[], limit: number, cursor: (item: T) => string): Page<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: found.length > limit && last !== undefined ? cursor(last) : null };
}
