import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { fieldErrors } from '../../policy/problems.ts';
import { Problem } from './problem.ts';

type Checked = { target: string; success: true } | { target: string; success: false; error: z.core.$ZodError; data?: unknown };

/** Refuses a query, path or header that a route's schema doesn't take, naming every bad one. */
export function refuseBadQuery(result: Checked, _c: Context): void {
  if (result.success) return;
  const errors = fieldErrors(z.unknown(), result.error.issues, result.data).map(({ path, message }) => ({
    path: `${result.target}.${path}`,
    message: message === 'is no field here' ? 'is no parameter here' : message,
  }));
  throw new Problem('invalid', `${errors[0]?.path}: ${errors[0]?.message}.`, { errors });
}

/** The seconds of `Prefer: wait=N` (RFC 7240, section 4.3) in milliseconds, at most a minute; 0 when it isn't there. */
export function preferredWaitMs(prefer: string | undefined): number {
  const seconds = /(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,9})/i.exec(prefer ?? '')?.[1];
  return seconds === undefined ? 0 : Math.min(Number(seconds), 60) * 1000;
}
