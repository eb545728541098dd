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

/** Pseudo-headers of a request that may be set, and what to: with anything else it would be no message, or wait for another answer than comes. */
const PSEUDO_HEADERS: Readonly<Record<string, { readonly pattern: RegExp; readonly problem: string }>> = {
  ':path': {
    pattern: /^\/[\x21\x22\x24-\x7e]*$/,
    problem: 'is no path: it begins with `/`; blanks, `#` and what is not ASCII are percent-encoded',
  },
  ':method': {
    pattern: /^(?!(HEAD|CONNECT)$)[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/,
    problem: 'is no method that a request can get, such as `PUT`; not HEAD or CONNECT, whose answer the caller could not read',
  },
  ':authority': { pattern: /^[A-Za-z0-9\-._~%!$&'()*+,;=:[\]]+$/, problem: 'is no host, such as `shop:8080`' },
};

export const SETTABLE_PSEUDO_HEADERS = Object.keys(PSEUDO_HEADERS);

/** Adds an issue for each pseudo-header with a value that it can't have. @param path where the headers stand */
export function refusePseudoValues(headers: Readonly<Record<string, string>>, path: PropertyKey[], context: z.RefinementCtx): void {
  for (const [name, value] of Object.entries(headers)) {
    const known = Object.hasOwn(PSEUDO_HEADERS, name) ? PSEUDO_HEADERS[name] : undefined;
    if (known !== undefined && !known.pattern.test(value))
      context.addIssue({ code: 'custom', path: [...path, name], message: known.problem });
  }
}

/** Headers that no rule may write: Envoy or HFI does. */
const RESERVED = new Set(['content-length', 'transfer-encoding', 'connection', 'upgrade', 'x-hfi-fault', 'host']);

/** Of answers; in trailers these two are just what one wants to write. */
export const GRPC_STATUS_HEADERS = new Set(['grpc-status', 'grpc-message']);

/**
 * Adds an issue for each name that may not be written.
 *
 * @param names a list, or an object by its keys
 * @param path where the names stand
 */
export function refuseReserved(
  names: readonly string[] | Readonly<Record<string, string>>,
  path: PropertyKey[],
  context: z.RefinementCtx,
  more: ReadonlySet<string> = new Set(),
): void {
  const keyed = Array.isArray(names) ? [...names.entries()] : Object.keys(names).map((name) => [name, name] as const);
  for (const [key, name] of keyed) {
    const lower = name.toLowerCase();
    if (RESERVED.has(lower) || more.has(lower)) {
      context.addIssue({ code: 'custom', path: [...path, key], message: 'is written by Envoy or HFI and can not be set' });
    }
  }
}
