import { createHash } from 'node:crypto';

/**
 * Tokens as they are sent and as they are kept. An issued one says its own name, so that the one record is found by what is no secret, and
 * then compared once, digest with digest, in constant time:
 *
 * ```
 *   hfi_<name>_<43 characters: 256 random bits, base64url>
 * ```
 */
const ISSUED = /^hfi_([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)_[A-Za-z0-9_-]{43}$/;

/** How many random bytes a token has. */
export const SECRET_BYTES = 32;

/** An issued token. @param random `SECRET_BYTES` bytes */
export function issuedToken(name: string, random: Uint8Array): string {
  return `hfi_${name}_${Buffer.from(random).toString('base64url')}`;
}

/** The name in an issued token; undefined when it doesn't look like one. Whether it is good, only its digest says. */
export function nameIn(token: string): string | undefined {
  return ISSUED.exec(token)?.[1];
}

/**
 * What of a token is kept and compared. SHA-256 without salt or stretching is enough for 256 random bits, which nobody guesses; and comparing
 * digests tells nothing by its time: who changes a character of a token changes all of its digest.
 */
export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
