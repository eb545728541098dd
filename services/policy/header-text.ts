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

/** What the pseudo-headers of a request may say; with anything else it would be none. */
const PSEUDO = new Map<string, readonly [RegExp, string]>([
  [
    ':path',
    [/^(\/[\x21\x22\x24-\x7e]*|\*)$/, 'is no path: write it as it is sent, beginning with /, percent-encoded and without a fragment'],
  ],
  [
    ':method',
    [
      /^(?!(HEAD|CONNECT)$)[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/,
      'is no method, or one whose answer is another than the caller waits for (HEAD, CONNECT)',
    ],
  ],
  [':authority', [/^[\x21-\x2e\x30-\x7e]+$/, 'is no host: write a name or address, and a port if there is one']],
]);

/** Adds an issue for each pseudo-header that would break the request. */
export function refuseBrokenPseudo(headers: Readonly<Record<string, string>>, path: PropertyKey[], context: z.RefinementCtx): void {
  for (const [name, value] of Object.entries(headers)) {
    const [pattern, message = ''] = PSEUDO.get(name) ?? [];
    if (pattern?.test(value) === false) context.addIssue({ code: 'custom', path: [...path, name], message });
  }
}

export const writtenHeaders = (pseudo: readonly string[] = []) => atMostEntries(LIMITS.entries, z.record(writtenName(pseudo), headerValue));

/** Headers that no rule may write: Envoy or HFI does. */
const RESERVED = new Set(['content-length', 'transfer-encoding', 'connection', 'upgrade', 'x-hfi-fault', 'host']);

/** Of answers; in trailers these two are just what one wants to write. */
export const GRPC_STATUS_HEADERS = new Set(['grpc-status', 'grpc-message']);

/**
 * Adds an issue for each name that may not be written.
 *
 * @param path where the names stand: as the keys of an object, or as the entries of a list
 */
export function refuseReserved(
  names: readonly string[] | Readonly<Record<string, unknown>>,
  path: PropertyKey[],
  context: z.RefinementCtx,
  more: ReadonlySet<string> = new Set(),
): void {
  const places: [PropertyKey, string][] = Array.isArray(names) ? [...names.entries()] : Object.keys(names).map((name) => [name, name]);
  for (const [place, name] of places) {
    const lower = name.toLowerCase();
    if (RESERVED.has(lower) || more.has(lower)) {
      context.addIssue({ code: 'custom', path: [...path, place], message: 'is written by Envoy or HFI and can not be set' });
    }
  }
}
