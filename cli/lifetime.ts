import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

const LIFETIME = /^(\d{1,5})(m|h|d)$/;
const UNIT_SECONDS = { m: 60, h: 3600, d: 86_400 } as const;

/** As the control plane allows, which judges it again. */
const LEAST_SECONDS = 60;
const MOST_SECONDS = 366 * UNIT_SECONDS.d;

/**
 * A lifetime such as `90m`, `12h` or `30d` in seconds.
 *
 * @throws Failure
 */
export function lifetimeSeconds(flag: string, text: string): number {
  const [, amount, unit] = LIFETIME.exec(text) ?? [];
  const seconds = Number(amount ?? 0) * UNIT_SECONDS[(unit ?? 'm') as keyof typeof UNIT_SECONDS];
  if (seconds < LEAST_SECONDS || seconds > MOST_SECONDS) {
    throw new Failure(`--${flag} is "${text}"; it must be a time from 1m to 366d, such as 90m, 12h or 30d.`, EXIT.usage);
  }
  return seconds;
}
