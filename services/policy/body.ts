import { z } from '@hono/zod-openapi';
import { LIMITS } from './limits.ts';

/** Bodies that a fault writes: a text, or bytes in base64. */

const tooLong = `is longer than ${LIMITS.bodyBytes} bytes`;

export const bodyText = z.string().refine((text) => Buffer.byteLength(text, 'utf8') <= LIMITS.bodyBytes, tooLong);

export const bodyBase64 = z.base64('is no base64').refine((text) => Buffer.from(text, 'base64').length <= LIMITS.bodyBytes, tooLong);

interface Body {
  readonly body?: string | undefined;
  readonly bodyBase64?: string | undefined;
}

/** Adds an issue when both are given. */
export function refuseTwoBodies(value: Body, context: z.RefinementCtx): void {
  if (value.body !== undefined && value.bodyBase64 !== undefined) {
    context.addIssue({ code: 'custom', path: ['bodyBase64'], message: 'is the same as body: give one of the two' });
  }
}

/** The bytes, or undefined when there is none. */
export function bodyBytes({ body, bodyBase64: base64 }: Body): Uint8Array | undefined {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return body === undefined ? undefined : new TextEncoder().encode(body);
}
