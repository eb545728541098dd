import type { IKeyValue, IRequestOp } from 'etcd3';
import { policyEnd } from '../../policy/end.ts';
import type { Policy } from '../../policy/schema.ts';
import type { Runtime } from '../runtime.ts';
import { asked, translated } from './asked.ts';
import { type AuditOptions, AuditWriter } from './audit-writer.ts';
import type { EtcdConnection, KeptLease } from './client.ts';
import { readHalt } from './halts.ts';
import { AUDIT, auditId, endOf, haltKey, NAMESPACE_HALTS, POLICIES, REPLICAS } from './keys.ts';
import { type AuditAction, type Origin, type Outcome, type Page, type Store, type StoredPolicy, StoreRefused } from './store.ts';
import { TokenStore } from './tokens.ts';
import { type AuditValue, encode, type PolicyValue, readPolicy } from './value.ts';

/** A replica that dies is forgotten after this many seconds. */
const REPLICA_TTL_SECONDS = 10;
/** So far the moments of applies may run ahead of the clock. */
const MOST_AHEAD_MS = 1000;

export interface EtcdStoreOptions extends AuditOptions {
  /** How long a policy stays readable after its end, in seconds; then its lease removes it. */
  readonly keepEndedSeconds: number;
}

/** The store in etcd. Each change is one transaction on the policy's mod revision; only a policy that ends costs a lease before it. */
export class EtcdStore implements Store {
  readonly #client: EtcdConnection;
  readonly #runtime: Runtime;
  readonly #options: EtcdStoreOptions;
  readonly tokens: TokenStore;
  readonly #audit: AuditWriter;
  #registration: KeptLease | undefined;
  #withdrawn = false;

  constructor(client: EtcdConnection, runtime: Runtime, options: EtcdStoreOptions) {
    this.#client = client;
    this.#runtime = runtime;
    this.#options = options;
    this.#audit = new AuditWriter(runtime.random, options.auditKey);
    this.tokens = new TokenStore({
      client,
      audited: async (compare, change, entry, origin) => {
        const audit = this.#audit.ops({ ...origin, ...entry, policy: '' });
        const { succeeded } = await asked(client.keys.txn({ compare: [compare], success: [change, ...audit] }));
        if (succeeded) this.#options.audited?.();
        return succeeded;
      },
      lease: async (seconds) => (await asked(client.leases.leaseGrant({ TTL: seconds }))).ID,
      giveBack: (lease) => this.#revoke(lease),
    });
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

  async put(policy: Policy, base: StoredPolicy | undefined, origin: Origin, chosen?: readonly string[]): Promise<Outcome<StoredPolicy>> {
    const name = policy.metadata.name;
    const appliedAt = momentAfter(base, origin.time);
    const times = { createdAt: base?.createdAt ?? appliedAt, appliedAt };
    const value: PolicyValue = { policy, ...times, ...(chosen === undefined ? {} : { chosen }) };
    const lease = await this.#leaseFor(policyEnd(policy, appliedAt));
    const put: IRequestOp = { request_put: { key: policyKey(name), value: encode(value), ...(lease === '0' ? {} : { lease }) } };
    const audit = this.#entry(base === undefined ? 'create' : 'replace', name, base, policy, origin);
    const result = await this.#ifAt(name, base, [put, ...audit], haltsOver(policy.spec.selector.namespace)).catch((error: unknown) => {
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

  /** Runs `changes` if the policy is still at `base` and none of the halts is there, all in one transaction; gives its revision. */
  async #ifAt(
    name: string,
    base: StoredPolicy | undefined,
    changes: IRequestOp[],
    halts: readonly KeyRange[] = [],
  ): Promise<Outcome<number>> {
    const key = policyKey(name);
    const result = await asked(
      this.#client.keys.txn({
        compare: [
          { key, target: 'Mod', result: 'Equal', mod_revision: base?.revision ?? 0 },
          ...halts.map((range) => ({ ...range, target: 'Version', result: 'Equal', version: 0 }) as const),
        ],
        success: changes,
        failure: [{ key }, ...halts].map((range) => ({ request_range: range })),
      }),
    );
    if (result.succeeded) {
      if (changes.length > 0) this.#options.audited?.();
      return { done: true, value: Number(result.header.revision) };
    }
    const [found, ...halting] = result.responses.map(({ response_range }) => response_range.kvs);
    const halt = halting.flat().flatMap((pair) => readHalt(pair) ?? [])[0];
    return { done: false, current: first(found ?? []), halt };
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

interface KeyRange {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

/** Where the halts lie that forbid a policy for this namespace; undefined and `*` = any. */
function haltsOver(namespace: string | undefined): KeyRange[] {
  const everything = { key: Buffer.from(haltKey(null)) };
  if (namespace !== undefined && namespace !== '*') return [everything, { key: Buffer.from(haltKey(namespace)) }];
  return [everything, { key: Buffer.from(NAMESPACE_HALTS), range_end: Buffer.from(endOf(NAMESPACE_HALTS)) }];
}

/** Applies are known apart by their moments: those of one millisecond follow one another. A clock that was set back is another matter. */
function momentAfter(base: StoredPolicy | undefined, time: number): number {
  return base !== undefined && base.appliedAt >= time && base.appliedAt < time + MOST_AHEAD_MS ? base.appliedAt + 1 : time;
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
