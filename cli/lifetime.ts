import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

const LIFETIME = /^(\d{1,5})(m|h|d)$/;
const UNIT_SECONDS = { m: 60, h: 3600, d: 86_400 } as const;

/**
 * A lifetime such as `90m`, `12h` or `30d` in seconds. Whether it is too short or too long, the control plane says.
 *
 * @throws Failure
 */
export function lifetimeSeconds(flag: string, text: string): number {
  const [, amount, unit] = LIFETIME.exec(text) ?? [];
  if (amount === undefined) throw new Failure(`--${flag} is "${text}"; it must be a time such as 90m, 12h or 30d.`, EXIT.usage);
  return Number(amount) * UNIT_SECONDS[unit as keyof typeof UNIT_SECONDS];
}
