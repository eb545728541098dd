import { gunzipSync, gzipSync } from 'node:zlib';
import type { IKeyValue } from 'etcd3';
import type { Policy } from '../../policy/schema.ts';
import type { StoredToken } from '../access/issued.ts';
import { AUDIT, ENDED, POLICIES, POLICY_LEASES, PRINCIPALS } from './keys.ts';
import type { AuditEntry, PastRun, Renewal, StoredPolicy, WrittenEnd } from './store.ts';

/**
 * Longer values are compressed: etcd takes at most 1.5 MiB in one request, and a change carries the policy and, in its
 * audit entry, the policy before and after.
 */
const COMPRESS_FROM_BYTES = 64 * 1024;
const GZIP_FIRST_BYTE = 0x1f;

/** JSON, compressed when it is long. */
export function encode(value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  return text.length < COMPRESS_FROM_BYTES ? text : gzipSync(text, { level: 1 });
}

export function decode(value: Buffer): unknown {
  return JSON.parse((value[0] === GZIP_FIRST_BYTE ? gunzipSync(value) : value).toString('utf8'));
}

/** What a policy's value holds. It was checked by the schema before it was written. */
export interface PolicyValue {
  readonly policy: Policy;
  readonly createdAt: number;
  readonly appliedAt: number;
  readonly chosen?: readonly string[] | undefined;
  readonly ended?: WrittenEnd;
}

/** Reads a policy's key and value; undefined when something else wrote there. */
export function readPolicy(pair: IKeyValue): StoredPolicy | undefined {
  try {
    const value = decode(pair.value) as PolicyValue;
    const name = pair.key.toString('utf8').slice(POLICIES.length);
    if (value.policy.metadata.name !== name || !Array.isArray(value.policy.spec.rules)) return undefined;
    return {
      policy: value.policy,
      createdAt: value.createdAt,
      appliedAt: value.appliedAt,
      ...(Array.isArray(value.chosen) ? { chosen: value.chosen } : {}),
      revision: Number(pair.mod_revision),
      ...(value.ended === undefined ? {} : { ended: value.ended }),
    };
  } catch {
    return undefined;
  }
}

/** What an issued token's value holds. */
export type TokenValue = Omit<StoredToken, 'name' | 'revision' | 'lease'>;

/** Reads an issued token's key and value; undefined when something else wrote there. */
export function readToken(pair: IKeyValue): StoredToken | undefined {
  try {
    const value = decode(pair.value) as TokenValue;
    const name = pair.key.toString('utf8').slice(PRINCIPALS.length);
    if (!/^[0-9a-f]{64}$/.test(value.digest) || !Number.isFinite(value.expiresAt)) return undefined;
    return { ...value, name, revision: Number(pair.mod_revision), lease: pair.lease };
  } catch {
    return undefined;
  }
}

export type AuditValue = Omit<AuditEntry, 'id' | 'revision'>;

export function readAudit(pair: IKeyValue): AuditEntry {
  const value = decode(pair.value) as AuditValue;
  return { ...value, id: pair.key.toString('utf8').slice(AUDIT.length), revision: Number(pair.mod_revision) };
}

/** What an owner's lease holds. */
export interface LeaseValue {
  /** The run that it is of. */
  readonly appliedAt: number;
  readonly until: number;
}

export interface OwnersLease extends LeaseValue, Renewal {
  /** The policy's. */
  readonly name: string;
}

/** Reads an owner's lease; undefined when something else wrote there. */
export function readLease(pair: IKeyValue): OwnersLease | undefined {
  try {
    const { appliedAt, until } = decode(pair.value) as LeaseValue;
    if (!Number.isFinite(appliedAt) || !Number.isFinite(until)) return undefined;
    return { name: pair.key.toString('utf8').slice(POLICY_LEASES.length), appliedAt, until, revision: Number(pair.mod_revision) };
  } catch {
    return undefined;
  }
}

/** A policy with its owner's lease, unless that is of an earlier run. */
export function withLease(stored: StoredPolicy, lease: OwnersLease | undefined): StoredPolicy {
  if (lease === undefined || lease.appliedAt !== stored.appliedAt) return stored;
  return { ...stored, renewal: { until: lease.until, revision: lease.revision } };
}

/** What a past run holds. */
export type PastRunValue = Omit<PastRun, 'id' | 'renewal'>;

export function readPastRun(pair: IKeyValue): PastRun {
  return { ...(decode(pair.value) as PastRunValue), id: pair.key.toString('utf8').slice(ENDED.length) };
}
