import type { Context } from 'hono';
import type { Proof } from '../access/tokens.ts';
import type { Leaving } from '../fleet/proxy.ts';
import type { Env } from './env.ts';

/** What of a request says who asks and what for, whoever read it from the network: Hono, or Node for the proxies' polls. */
export interface Asking {
  /** A header's value by its lower-case name; undefined when it isn't there. One that was sent several times is joined with `, `. */
  header(name: string): string | undefined;
  /** The IP address of the connection's other end. */
  readonly remoteAddress: string | undefined;
  readonly leaving: Leaving;
  /** Of the token that it carries, once that was looked at. */
  proof?: Proof;
}

export function askingOf(c: Context<Env>): Asking {
  return {
    header: (name) => c.req.header(name),
    remoteAddress: c.env?.incoming?.socket.remoteAddress,
    leaving: c.req.raw.signal,
  };
}
