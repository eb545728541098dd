import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

const AGO = /^(\d+(?:\.\d+)?)(s|m|h|d)$/;
const DAY = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * A flag's moment: a time ago (`24h`, `7d`), a day (`2026-08-01`, its beginning in UTC) or a time with its zone.
 *
 * @param now milliseconds since the epoch
 * @returns in ISO 8601
 * @throws Failure
 */
export function momentOf(flag: string, text: string, now: number): string {
  const [, amount, unit] = AGO.exec(text) ?? [];
  const time = amount === undefined ? Date.parse(DAY.test(text) ? text : '') : now - Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  if (Number.isNaN(time) || Math.abs(time) > 8.64e15) {
    throw new Failure(`--${flag} is "${text}"; it must be a time such as 24h or 7d ago, 2026-08-01 or 2026-08-01T12:00:00Z.`, EXIT.usage);
  }
  return new Date(time).toISOString();
}
