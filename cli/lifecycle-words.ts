import type { PolicyResource } from './policies.ts';
import { timeLeft } from './print.ts';

type Status = PolicyResource['status'];

/** `active`, or `ended (expired)`. */
export function phaseInWords({ phase, end }: Status): string {
  return end === null ? phase : `${phase} (${end.reason})`;
}

/** `, no end`, or when and how soon: `, ends 2026-08-01T12:00:00.000Z (9m 58s)`. */
export function untilInWords({ endsAt }: Pick<Status, 'endsAt'>): string {
  return endsAt === null ? ', no end' : `, ends ${endsAt} (${timeLeft(endsAt)})`;
}

/** The first of the times at which it ends by itself, as a time left. */
export function endsIn({ state, endsAt, lease }: Status, now = Date.now()): string {
  const times = [endsAt, lease?.until ?? null].filter((time) => time !== null).sort();
  return state === 'ended' ? 'over' : timeLeft(times[0] ?? null, now);
}

/** `expired 2026-08-01T12:00:00.000Z by hfi: its owner did not renew the lease of 30s`; undefined while there is no end. */
export function endInWords({ end }: Status): string | undefined {
  return end === null ? undefined : `${end.reason} ${end.at} by ${end.by.name}: ${end.why}`;
}

/** How many requests it hit in all: `60`, `0 INCONCLUSIVE`, `60 in shadow`; `?` when that is not known yet, or no more. */
export function resultInWords({ result }: Status): string {
  if (result === null) return '?';
  const { injected, skipped } = result.total;
  if (result.verdict === 'inconclusive') return `${injected} INCONCLUSIVE`;
  return injected === 0 ? `${skipped.shadow} in shadow` : String(injected);
}
