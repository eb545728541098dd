import type { Policy } from '../../services/policy/schema.ts';
import type { Identity } from '../../services/policy/selector.ts';
import type { Case, Header } from './case.ts';
import type { Kinds } from './kinds.ts';

/** Where cases run: the filter in Node's host or in Envoy. */
export interface Host {
  /** How much later than asked a request may go on, in milliseconds. */
  readonly lateMs: number;
  /** Puts the ruleset in force, sends the request as often as asked and tells what became of each. */
  run(trial: Trial): Promise<Seen[]>;
  end(): Promise<void>;
}

export interface Trial {
  readonly policies: readonly Policy[];
  /** Who the proxy says it is. */
  readonly identity: Identity;
  /** How long ago the policies were applied. */
  readonly afterMs: number;
  /** The compiled ruleset, from the present moment by the clock of the host's control plane. */
  readonly ruleset: (now: number) => Uint8Array;
  readonly direction: Case['proxy']['direction'];
  readonly request: Case['request'];
  readonly upstream: Case['upstream'];
  readonly repeat: number;
  /** One after the other, each told apart from the others; else side by side. */
  readonly inOrder: boolean;
}

/** A request as the service got it; names in lower case, the authority as `host`. */
export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly Header[];
  readonly body: string;
}

/** A request as the service got it; names in lower case. */
export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly Header[];
  readonly body: string;
}

/** What became of one request, as its client saw it. */
export interface Seen {
  readonly kinds: Kinds;
  /** `<policy>/<index>` of the rule that did it, or only counted it in a shadow; undefined where the host can't tell. */
  readonly rule?: string | undefined;
  /** 0 when the connection ended without an answer. */
  readonly status: number;
  /** As far as it came. */
  readonly body: string;
  readonly headers: readonly Header[];
  /** Undefined when the service didn't get it, or it isn't known which of several it got. */
  readonly arrived?: Arrived | undefined;
  /** Milliseconds from sending to the answer; in Node those that it was held. */
  readonly delayMs: number;
  /** What the service got, of a trial in order; undefined when it wasn't asked. */
  readonly service?: Arrived | undefined;
}

/** The request's headers as they are on the wire, names in lower case; `host` is the authority's. */
export function wireHeaders({ method, headers, body }: Case['request']): Header[] {
  const given = headers.map(([name, value]): Header => [name.toLowerCase(), value.replace(/^[ \t]+|[ \t]+$/g, '')]);
  const sized = given.some(([name]) => name === 'content-length');
  const size = !sized && (body !== '' || ['POST', 'PUT', 'PATCH'].includes(method));
  return [...given.filter(([name]) => name !== 'host'), ...(size ? [['content-length', String(Buffer.byteLength(body))] as Header] : [])];
}

/** The request's authority; a header `host` stands for it. */
export function authorityOf({ authority, headers }: Case['request']): string {
  return headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? authority;
}

/** The headers of the service's answer, which has a length. */
export function answerHeaders({ status, headers, body }: Case['upstream']): readonly Header[] {
  const sized = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
  return sized || !hasBody('GET', status) ? headers : [...headers, ['content-length', String(Buffer.byteLength(body))]];
}

/** Whether an answer has a body at all (RFC 9110, sections 9.3.2 and 6.4.1). */
export function hasBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304;
}
