import { z } from '@hono/zod-openapi';
import { LIMITS } from './limits.ts';

/** A share of a hundred, with four decimals at most. */
export const percentage = z
  .number()
  .min(0)
  .max(100)
  .refine(
    (value) => Math.abs(value / LIMITS.percentageStep - Math.round(value / LIMITS.percentageStep)) < 1e-3,
    'has more than four decimals',
  );

/** What a draw of 32 bits must be below: all ones mean always. */
export function threshold(share: number): number {
  if (share >= 100) return 0xffffffff;
  return Math.min(Math.round((share / 100) * 2 ** 32), 0xfffffffe);
}
