import type { ICompare, IKeyValue, IRangeRequest, IRequestOp } from 'etcd3';
import { type End, ownEnd } from '../../policy/lifecycle.ts';
import type { Policy } from '../../policy/schema.ts';
import type { Runtime } from '../runtime.ts';
import { asked, translated } from './asked.ts';
import { type AuditOptions, AuditWriter } from './audit-writer.ts';
import type { EtcdConnection, KeptLease } from './client.ts';
import { readHalt } from './halts.ts';
import { intoHistory } from './history.ts';
import { AUDIT, endOf, haltKey, NAMESPACE_HALTS, POLICIES, POLICY_LEASES, REPLICAS } from './keys.ts';
import {
  type AuditAction,
  CONTROL_PLANE,
  type Origin,
  type Outcome,
  type Page,
  type Store,
  type StoredPolicy,
  type WrittenEnd,
} from './store.ts';
import { TokenStore } from './tokens.ts';
import { encode, type LeaseValue, type PolicyValue, readLease, readPolicy, withLease } from './value.ts';

/** A replica that dies is forgotten after this many seconds. */
const REPLICA_TTL_SECONDS = 10;
/** So far the moments of applies may run ahead of the clock. */
const MOST_AHEAD_MS = 1000;
/** So many are remembered: those of the last millisecond matter. */
const MOST_MOMENTS = 1000;

export interface EtcdStoreOptions extends AuditOptions {
  /** How long an ended policy stays where it was, to be seen, in seconds. The history has it for longer. */
  readonly keepEndedSeconds: number;
}

/** The store in etcd. Each change is one transaction on the policy's mod revision. */
export class EtcdStore implements Store {
  readonly #client: EtcdConnection;
  readonly #runtime: Runtime;
  readonly #options: EtcdStoreOptions;
  readonly tokens: TokenStore;
  /** The moments of the last applies by this replica, by policy. */
  readonly #moments = new Map<string, number>();
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
      // If that fails, it ends by itself.
      giveBack: (lease) => void client.leases.leaseRevoke({ ID: lease }).catch(() => undefined),
    });
  }

  async get(name: string): Promise<StoredPolicy | undefined> {
    // No transaction: an etcd that is full may refuse even those that only read (3.5 does), and 3.5.1 panics when who asked for one is gone.
    const { kvs, header } = await asked(this.#client.keys.range({ key: policyKey(name) }));
    const policy = kvs[0] && readPolicy(kvs[0]);
    if (policy?.policy.spec.lease === undefined) return policy;
    const leases = await asked(this.#client.keys.range({ key: leaseKey(name), revision: header.revision }));
    return stored([kvs, leases.kvs]);
  }

  async list(limit: number, after: string): Promise<Page<StoredPolicy>> {
    const found = await asked(
      this.#client.keys.range({ key: justAfter(POLICIES, after), range_end: Buffer.from(endOf(POLICIES)), limit: limit + 1 }),
    );
    const page = pageOf(
      found.kvs.flatMap((pair) => readPolicy(pair) ?? []),
      limit,
      (item) => item.policy.metadata.name,
    );
    const owned = page.items.filter(({ policy }) => policy.spec.lease !== undefined).map(({ policy }) => policy.metadata.name);
    if (owned.length === 0) return page;
    const leases = await asked(
      this.#client.keys.range({ key: leaseKey(owned[0] ?? ''), range_end: justAfter(POLICY_LEASES, owned.at(-1) ?? '') }),
    );
    const byName = new Map(leases.kvs.flatMap((pair) => readLease(pair) ?? []).map((lease) => [lease.name, lease]));
    return { ...page, items: page.items.map((item) => withLease(item, byName.get(item.policy.metadata.name))) };
  }

  async put(policy: Policy, base: StoredPolicy | undefined, origin: Origin, chosen?: readonly string[]): Promise<Outcome<StoredPolicy>> {
    const name = policy.metadata.name;
    const live = base?.ended === undefined ? base : undefined;
    const appliedAt = momentAfter(Math.max(base?.appliedAt ?? 0, this.#moments.get(name) ?? 0), origin.time);
    const times = { createdAt: live?.createdAt ?? appliedAt, appliedAt };
    const value: PolicyValue = { policy, ...times, ...(chosen === undefined ? {} : { chosen }) };
    const changes = [
      { request_put: { key: policyKey(name), value: encode(value) } },
      { request_delete_range: { key: leaseKey(name) } },
      ...this.#close(live, { at: origin.time, reason: 'replaced', why: 'it was applied again', by: origin.actor }, origin),
      ...this.#entry(live === undefined ? 'create' : 'replace', name, live, policy, origin),
    ];
    const result = await this.#ifAt(name, base, changes, [], haltsOver(policy.spec.selector.namespace)).catch((error: unknown) => {
      // Without an answer it may have been done.
      this.#remember(name, appliedAt);
      throw error;
    });
    if (!result.done) return result;
    this.#remember(name, appliedAt);
    return { done: true, value: { ...value, revision: result.value } };
  }

  /** Of a policy that was deleted in between, the store has nothing any more. */
  #remember(name: string, moment: number): void {
    this.#moments.delete(name);
    this.#moments.set(name, moment);
    const [oldest] = this.#moments.keys();
    if (this.#moments.size > MOST_MOMENTS && oldest !== undefined) this.#moments.delete(oldest);
  }

  async unchanged(base: StoredPolicy): Promise<Outcome<StoredPolicy>> {
    const current = await this.get(base.policy.metadata.name);
    return current?.revision === base.revision ? { done: true, value: base } : { done: false, current };
  }

  remove(base: StoredPolicy, origin: Origin): Promise<Outcome<number>> {
    const name = base.policy.metadata.name;
    const live = base.ended === undefined ? base : undefined;
    return this.#ifAt(name, base, [
      { request_delete_range: { key: policyKey(name) } },
      { request_delete_range: { key: leaseKey(name) } },
      ...this.#close(live, { at: origin.time, reason: 'deleted', why: 'it was deleted', by: origin.actor }, origin),
      ...this.#entry('delete', name, base, undefined, origin),
    ]);
  }

  async end(base: StoredPolicy, end: End, origin: Origin): Promise<Outcome<StoredPolicy>> {
    const { policy, createdAt, appliedAt, chosen } = base;
    const name = policy.metadata.name;
    const ended = { ...end, by: origin.actor };
    // Late reports are judged by whom it was for.
    const value: PolicyValue = { policy, createdAt, appliedAt, ...(chosen === undefined ? {} : { chosen }), ended };
    // Without keep-alive: it sweeps away what the history has by now.
    const { ID: lease } = await asked(this.#client.leases.leaseGrant({ TTL: this.#options.keepEndedSeconds }));
    const result = await this.#ifAt(
      name,
      base,
      [
        { request_put: { key: policyKey(name), value: encode(value), lease } },
        { request_delete_range: { key: leaseKey(name) } },
        ...intoHistory(base, ended),
        ...this.#endEntry(base, end, origin),
      ],
      [{ key: leaseKey(name), target: 'Mod', result: 'Equal', mod_revision: base.renewal?.revision ?? 0 }],
    );
    return result.done ? { done: true, value: { ...value, revision: result.value } } : result;
  }

  async renew(base: StoredPolicy, until: number): Promise<Outcome<StoredPolicy>> {
    const name = base.policy.metadata.name;
    const value: LeaseValue = { appliedAt: base.appliedAt, until };
    const result = await this.#ifAt(name, base, [{ request_put: { key: leaseKey(name), value: encode(value) } }]);
    return result.done ? { done: true, value: { ...base, renewal: { until, revision: result.value } } } : result;
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

  /**
   * Runs `changes` if the policy is still at `base`, what is compared besides holds, and none of the halts is there, all in one transaction;
   * gives its revision.
   */
  async #ifAt(
    name: string,
    base: StoredPolicy | undefined,
    changes: readonly IRequestOp[],
    compare: readonly ICompare[] = [],
    halts: readonly IRangeRequest[] = [],
  ): Promise<Outcome<number>> {
    const places = at(name);
    const result = await asked(
      this.#client.keys.txn({
        compare: [
          { key: policyKey(name), target: 'Mod', result: 'Equal', mod_revision: base?.revision ?? 0 },
          ...compare,
          ...halts.map((range) => ({ ...range, target: 'Version', result: 'Equal', version: 0 }) as const),
        ],
        success: [...changes],
        failure: [...places, ...halts].map((request_range) => ({ request_range })),
      }),
    );
    if (result.succeeded) {
      if (changes.some(isAudit)) this.#options.audited?.();
      return { done: true, value: Number(result.header.revision) };
    }
    const found = result.responses.map(({ response_range }) => response_range.kvs);
    const halt = found
      .slice(places.length)
      .flat()
      .flatMap((pair) => readHalt(pair) ?? [])[0];
    return { done: false, current: stored(found), halt };
  }

  #entry(action: AuditAction, name: string, before: StoredPolicy | undefined, after: Policy | undefined, origin: Origin): IRequestOp[] {
    return this.#audit.ops({ ...origin, action, policy: name, before: before?.policy.spec ?? null, after: after?.spec ?? null });
  }

  /** What ends a run that goes on, if there is one, with a change of its policy. It may have been over before, and nobody wrote it. */
  #close(run: StoredPolicy | undefined, end: WrittenEnd, origin: Origin): IRequestOp[] {
    if (run === undefined) return [];
    const own = ownEnd(run);
    if (own === undefined || own.at > end.at) return intoHistory(run, end);
    return [
      ...intoHistory(run, { ...own, by: CONTROL_PLANE }),
      ...this.#endEntry(run, own, { ...origin, actor: CONTROL_PLANE, time: own.at }),
    ];
  }

  #endEntry({ policy }: StoredPolicy, { reason, why }: End, origin: Origin): IRequestOp[] {
    const { name } = policy.metadata;
    return this.#audit.ops({ ...origin, action: 'end', policy: name, before: policy.spec, after: null, end: { reason, why } });
  }
}

function isAudit({ request_put: put }: IRequestOp): boolean {
  return put?.key?.toString('utf8').startsWith(AUDIT) === true;
}

/** Where a policy and its owner's lease lie. */
function at(name: string): IRangeRequest[] {
  return [{ key: policyKey(name) }, { key: leaseKey(name) }];
}

/** What was found there. */
function stored([policies = [], leases = []]: readonly IKeyValue[][]): StoredPolicy | undefined {
  const policy = policies[0] === undefined ? undefined : readPolicy(policies[0]);
  return policy && withLease(policy, leases[0] && readLease(leases[0]));
}

/** Where the halts lie that forbid a policy for this namespace; undefined and `*` = any. */
function haltsOver(namespace: string | undefined): IRangeRequest[] {
  const everything = { key: Buffer.from(haltKey(null)) };
  if (namespace !== undefined && namespace !== '*') return [everything, { key: Buffer.from(haltKey(namespace)) }];
  return [everything, { key: Buffer.from(NAMESPACE_HALTS), range_end: Buffer.from(endOf(NAMESPACE_HALTS)) }];
}

/** Applies are known apart by their moments: those of one millisecond follow one another. A clock that was set back is another matter. */
function momentAfter(last: number, time: number): number {
  return last >= time && last < time + MOST_AHEAD_MS ? last + 1 : time;
}

function policyKey(name: string): Buffer {
  return Buffer.from(`${POLICIES}${name}`);
}

function leaseKey(name: string): Buffer {
  return Buffer.from(`${POLICY_LEASES}${name}`);
}

/** The first key that can follow `prefix + after`. */
function justAfter(prefix: string, after: string): Buffer {
  return Buffer.from(after === '' ? prefix : `${prefix}${after}\0`);
}

function pageOf<T>(found: readonly T[], limit: number, cursor: (item: T) => string): Page<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: found.length > limit && last !== undefined ? cursor(last) : null };
}
