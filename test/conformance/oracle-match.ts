import { RE2 } from 're2-wasm';
import type { Peer } from '../../filter/host/peer.ts';
import type { NestedMatch } from '../../services/policy/match.ts';
import type { Match } from '../../services/policy/schema.ts';
import type { TextMatch } from '../../services/policy/string-match.ts';

/**
 * Which requests a match is for, as the policy reference has it, written slowly and obviously. Everything that is compared is a
 * string of bytes, one character each: a query may decode to what is no UTF-8.
 */

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** In the order sent; names in lower case, as Envoy keeps them. */
  readonly headers: readonly (readonly [string, string])[];
  /** The caller's SPIFFE id. */
  readonly source?: string | undefined;
  /** What its sidecar says of the caller. */
  readonly peer?: Peer | undefined;
  /** Where it goes. */
  readonly cluster?: string | undefined;
  /** Where it arrived. */
  readonly port?: number | undefined;
}

/** @param outbound whether the workload itself sends the request */
export function matches(match: Match | undefined, request: Request, outbound: boolean): boolean {
  const agent = headerValue(request, 'user-agent') ?? '';
  const isProbe = agent.startsWith('kube-probe/') || agent.startsWith('Envoy/HC');
  if (isProbe && match?.probes !== true) return false;
  return match === undefined || holds(match, outbound ? { ...request, source: undefined, peer: undefined } : request);
}

function holds(match: NestedMatch, request: Request): boolean {
  const { method, path, authority, port, cluster, headers = [], query = [], cookies = [], grpc, source, not, anyOf } = match;
  const call = calledMethod(request);
  const caller = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(request.source ?? '');
  return (
    fits(method, bytes(request.method)) &&
    fits(path, pathAlone(request)) &&
    fits(authority, bytes(request.authority)) &&
    (port === undefined || port === request.port) &&
    fits(cluster, told(request.cluster)) &&
    headers.every((one) => compares(one, headerValue(request, one.name))) &&
    query.every((one) => compares(one, parameter(request, bytes(one.name)))) &&
    cookies.every((one) => compares(one, cookieValue(request, one.name))) &&
    fits(grpc?.service, call?.service) &&
    fits(grpc?.method, call?.method) &&
    fits(source?.id, request.source) &&
    fits(source?.namespace, caller?.[1]) &&
    fits(source?.serviceAccount, caller?.[2]) &&
    fits(source?.workload, told(request.peer?.workload)) &&
    fits(source?.service, told(request.peer?.service)) &&
    fits(source?.version, told(request.peer?.version)) &&
    Object.entries(source?.labels ?? {}).every(([name, one]) => compares(one, told(request.peer?.labels?.[name]))) &&
    (not === undefined || !holds(not, request)) &&
    (anyOf === undefined || anyOf.some((one) => holds(one, request)))
  );
}

/** An empty text tells nothing. */
function told(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : bytes(text);
}

/** A part of a match that isn't given asks nothing. */
function fits(wanted: TextMatch | undefined, value: string | undefined): boolean {
  return wanted === undefined || compares(wanted, value);
}

function compares(wanted: TextMatch, value: string | undefined): boolean {
  if (wanted.present !== undefined) return wanted.present === (value !== undefined);
  if (value === undefined) return false;
  if (wanted.regex !== undefined) return matchesRegex(wanted.regex, wanted.ignoreCase === true, value);
  const inCase = (text: string): string => (wanted.ignoreCase === true ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text);
  const text = inCase(bytes(wanted.exact ?? wanted.prefix ?? wanted.suffix ?? wanted.contains ?? ''));
  const given = inCase(value);
  if (wanted.exact !== undefined) return given === text;
  if (wanted.prefix !== undefined) return given.startsWith(text);
  if (wanted.suffix !== undefined) return given.endsWith(text);
  return given.includes(text);
}

/** RE2 in Wasm keeps 16 MiB of what it compiled and frees nothing. */
const compiled = new Map<string, RE2>();

function matchesRegex(pattern: string, ignoreCase: boolean, value: string): boolean {
  const text = Buffer.from(value, 'latin1').toString('utf8');
  // What is no UTF-8 no expression takes.
  if (bytes(text) !== value) return false;
  const flags = ignoreCase ? 'ui' : 'u';
  const key = `${flags} ${pattern}`;
  const re2 = compiled.get(key) ?? new RE2(`\\A(?:${pattern})\\z`, flags);
  compiled.set(key, re2);
  return re2.test(text);
}

/** A header's value; `undefined` when the request lacks it. Sent several times, it is one value. */
export function headerValue(request: Request, name: string): string | undefined {
  const asked = name.toLowerCase();
  if (asked === ':method') return bytes(request.method);
  if (asked === ':path') return bytes(request.path);
  if (asked === ':authority' || asked === 'host') return bytes(request.authority);
  if (asked === ':scheme') return 'http';
  const values = request.headers.filter(([key]) => key === asked).map(([, value]) => bytes(value));
  return values.length === 0 ? undefined : values.join(',');
}

/** A cookie's value; `undefined` when the request lacks it. */
export function cookieValue(request: Request, name: string): string | undefined {
  for (const [key, value] of request.headers) {
    if (key !== 'cookie') continue;
    for (const piece of bytes(value).split(';')) {
      const [, own, text = ''] = /^([^=]*)=(.*)$/.exec(piece.replace(/^[ \t]+|[ \t]+$/g, '')) ?? [];
      if (own === name) return /^"(.*)"$/.exec(text)?.[1] ?? text;
    }
  }
  return undefined;
}

function parameter(request: Request, name: string): string | undefined {
  const [beforeFragment = ''] = bytes(request.path).split('#');
  const mark = beforeFragment.indexOf('?');
  if (mark === -1) return undefined;
  for (const one of beforeFragment.slice(mark + 1).split('&')) {
    const [own = '', ...value] = one.split('=');
    if (decoded(own) === name) return decoded(value.join('='));
  }
  return undefined;
}

function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

function pathAlone(request: Request): string {
  return bytes(request.path).replace(/[?#].*$/s, '');
}

function calledMethod(request: Request): { service: string; method: string } | undefined {
  if (!/^application\/grpc(\+.*)?$/.test(headerValue(request, 'content-type') ?? '')) return undefined;
  const [, service, method] = /^\/([^/]*)\/(.*)$/.exec(pathAlone(request)) ?? [];
  return service === undefined || method === undefined ? undefined : { service, method };
}

function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
