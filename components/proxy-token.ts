import { createHmac } from 'node:crypto';

/**
 * The token of the proxies of one namespace, made of the proxies' token: HMAC-SHA-256 of the namespace's name, so that whoever reads the token of
 * one namespace learns neither that of another nor the one that they are made of.
 */
export function proxyTokenOf(namespace: string, secret: string): string {
  return createHmac('sha256', secret).update(`proxy of ${namespace}`).digest('base64url');
}
