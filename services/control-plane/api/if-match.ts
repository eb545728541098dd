import type { Context } from 'hono';
import type { Env } from './env.ts';
import type { Intent } from './policy-write.ts';
import { Problem } from './problem.ts';

/** What `If-Match` and `If-None-Match` ask of a write (RFC 9110, section 13.1; one tag, as resource versions have no variants). */
export function onlyIf(c: Context<Env>): Intent {
  const match = c.req.header('if-match')?.trim();
  const noneMatch = c.req.header('if-none-match')?.trim();
  if (match !== undefined && noneMatch !== undefined) throw new Problem('invalid', 'If-Match and If-None-Match contradict each other.');
  if (noneMatch !== undefined) {
    if (noneMatch !== '*') throw new Problem('invalid', 'If-None-Match takes only `*` here.');
    return { kind: 'create', otherwise: 'precondition-failed' };
  }
  if (match === undefined) return { kind: 'any' };
  if (match === '*') return { kind: 'exists' };
  const revision = /^"?([0-9]{1,15})"?$/.exec(match)?.[1];
  if (revision !== undefined) return { kind: 'at', revision: Number(revision) };
  if (!/^(W\/)?"[^"]*"$/.test(match)) throw new Problem('invalid', 'If-Match takes one resource version here, such as `"42"`, or `*`.');
  // A tag that this API never gave out matches nothing.
  return { kind: 'at', revision: -1 };
}
