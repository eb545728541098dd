import { z } from '@hono/zod-openapi';
import { atMostEntries } from './entries.ts';
import { LIMITS } from './limits.ts';

/** Headers that a fault writes. */

const HEADER_VALUE = /^[\t\x20-\x7e\x80-\uffff]*$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** A header's value as it may be sent. */
export const headerValue = z.string().max(8192).regex(HEADER_VALUE, 'has a control character');

/** A header's name as Envoy keeps it. */
export function keptName(name: string): string {
  const lower = name.toLowerCase();
  return lower === 'host' ? ':authority' : lower;
}

/** A header's name. @param pseudo pseudo-headers that may be named too */
export function writtenName(pseudo: readonly string[] = []) {
  return z
    .string()
    .max(256)
    .refine((name) => HEADER_NAME.test(name) || pseudo.includes(name), 'is no header name');
}

export const writtenHeaders = (pseudo: readonly string[] = []) => atMostEntries(LIMITS.entries, z.record(writtenName(pseudo), headerValue));

/** Headers that no rule may write: Envoy or HFI does. */
const RESERVED = new Set(['content-length', 'transfer-encoding', 'connection', 'upgrade', 'x-hfi-fault', 'host']);

/** Of answers; in trailers these two are just what one wants to write. */
export const GRPC_STATUS_HEADERS = new Set(['grpc-status', 'grpc-message']);

/**
 * Adds an issue for each name that may not be written.
 *
 * @param path where the names stand
 */
export function refuseReserved(
  names: readonly string[],
  path: PropertyKey[],
  context: z.RefinementCtx,
  more: ReadonlySet<string> = new Set(),
): void {
  for (const name of names) {
    const lower = name.toLowerCase();
    if (RESERVED.has(lower) || more.has(lower)) {
      context.addIssue({ code: 'custom', path: [...path, name], message: 'is written by Envoy or HFI and can not be set' });
    }
  }
}
