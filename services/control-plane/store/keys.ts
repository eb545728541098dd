/** Where things lie in etcd. What every replica follows are neighbours, so that one watch follows them all. */
export const HALTS = '/hfi/halt/';
export const POLICIES = '/hfi/policies/';
/** Until when a policy's owner renewed its lease. Between policies and replicas, by its name. */
export const POLICY_LEASES = '/hfi/policy-leases/';
/** The issued tokens: who may act. Between policies and replicas, by its name. */
export const PRINCIPALS = '/hfi/principals/';
export const REPLICAS = '/hfi/replicas/';
/** Runs that ended, nobody follows them; and by the same ids those of which it is not written yet what they did in all. */
export const ENDED = '/hfi/ended/';
export const ENDED_WAITING = '/hfi/ended-waiting/';
export const AUDIT = '/hfi/audit/';
/** `<policy>/<when it was applied>/<proxy>`: what a proxy counted. Outside of what a replica follows of the policies. */
export const COUNTS = '/hfi/counts/';
/** Entries that wait for their seal, the seals, the newest of them, and up to where they were removed. */
export const AUDIT_WAITING = '/hfi/audit-waiting/';
export const AUDIT_SEALS = '/hfi/audit-seals/';
export const AUDIT_HEAD = '/hfi/audit-head';
export const AUDIT_ANCHOR = '/hfi/audit-anchor';
/** Which replica asks Prometheus, for as long as it lives; and by policy since when its stop conditions hold. Nobody follows them. */
export const STOP_EVALUATOR = '/hfi/stop-evaluator';
export const STOP_MARKS = '/hfi/stop-marks/';
/** A key for each halt that was ever kept, without a value. Nobody follows it. */
export const KEPT_HALTS = '/hfi/done/halt/';

/** First and last key of what a replica follows: halts, policies, their owners' leases, issued tokens, replicas and nothing between them. */
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
 * An id of something that happened at a time. Ids of later ones come first, so that the newest page is the cheap one: etcd reads keys upwards.
 *
 * @param time milliseconds since the epoch
 * @param rest what tells those of the same millisecond apart
 */
export function timedId(time: number, rest: string): string {
  return `${String(LAST_MS - time).padStart(13, '0')}-${rest}`;
}

/** The time that an id says, in milliseconds since the epoch. */
export function timeOfId(id: string): number {
  return LAST_MS - Number(id.slice(0, 13));
}

/** A seal's key: later ones come later. */
export function sealKey(sequence: number): Buffer {
  return Buffer.from(`${AUDIT_SEALS}${String(sequence).padStart(12, '0')}`);
}
