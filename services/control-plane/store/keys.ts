/** Where things lie in etcd. What every replica follows are neighbours, so that one watch follows them all. */
export const HALTS = '/hfi/halt/';
export const POLICIES = '/hfi/policies/';
/** The issued tokens: who may act. Between policies and replicas, by its name. */
export const PRINCIPALS = '/hfi/principals/';
export const REPLICAS = '/hfi/replicas/';
export const AUDIT = '/hfi/audit/';
/** `<policy>/<when it was applied>/<proxy>`: what a proxy counted. Outside of what a replica follows of the policies. */
export const COUNTS = '/hfi/counts/';
/** Entries that wait for their seal, the seals, the newest of them, and up to where they were removed. */
export const AUDIT_WAITING = '/hfi/audit-waiting/';
export const AUDIT_SEALS = '/hfi/audit-seals/';
export const AUDIT_HEAD = '/hfi/audit-head';
export const AUDIT_ANCHOR = '/hfi/audit-anchor';
/** A key for each halt that was ever kept, without a value. Nobody follows it. */
export const KEPT_HALTS = '/hfi/done/halt/';

/** First and last key of what a replica follows: halts, policies, issued tokens and replicas, and nothing between them. */
export const FOLLOWED = { from: HALTS, to: endOf(REPLICAS) } as const;

const EVERYTHING = `${HALTS}all`;
/** The halts of single namespaces. */
export const NAMESPACE_HALTS = `${HALTS}ns/`;

/** @param namespace null = everything */
export function haltKey(namespace: string | null): string {
  return namespace === null ? EVERYTHING : `${NAMESPACE_HALTS}${namespace}`;
}

/** The namespace that a key halts, null = everything; undefined when it is no halt's key. */
export function haltedBy(key: string): string | null | undefined {
  if (key === EVERYTHING) return null;
  return key.startsWith(NAMESPACE_HALTS) ? key.slice(NAMESPACE_HALTS.length) : undefined;
}

/** The key after the last one that begins with `prefix`. */
export function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

const LAST_MS = 9_999_999_999_999;

/**
 * An audit entry's id. Ids of later entries come first, so that the newest page is the cheap one: etcd reads keys upwards.
 *
 * @param time milliseconds since the epoch
 * @param rest what tells entries of the same millisecond apart
 */
export function auditId(time: number, rest: string): string {
  return `${String(LAST_MS - time).padStart(13, '0')}-${rest}`;
}

/** The time that an id says, in milliseconds since the epoch. */
export function auditTime(id: string): number {
  return LAST_MS - Number(id.slice(0, 13));
}

/** A seal's key: later ones come later. */
export function sealKey(sequence: number): Buffer {
  return Buffer.from(`${AUDIT_SEALS}${String(sequence).padStart(12, '0')}`);
}
