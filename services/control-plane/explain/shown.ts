import type { Asked } from './request.ts';

/**
 * What a request has where a match asks for something, for people to read. It decides nothing: whether a match holds, the filter
 * itself was asked.
 */

/**
 * @param field the names that lead to the part in the match, such as `headers` or `source`, `workload`
 * @param name the header's, parameter's or cookie's
 * @returns null when it has nothing there, or no single text
 */
export function shownIn(asked: Asked, field: readonly string[], name: string): string | null {
  const { request } = asked;
  const [part = '', inner = '', label = ''] = field;
  switch (part) {
    case 'method':
      return request.method;
    case 'path':
      return pathAlone(request.path);
    case 'authority':
      return headerIn(asked, ':authority');
    case 'headers':
      return headerIn(asked, name);
    case 'query':
      return parameterIn(request.path, name);
    case 'cookies':
      return cookieIn(asked, name);
    case 'grpc':
      return calledIn(asked, inner === 'service' ? 0 : 1);
    case 'source':
      return callerIn(asked, inner, label);
    case 'port':
      return request.port === undefined ? null : String(request.port);
    case 'cluster':
      return request.cluster ?? null;
    case 'probes':
      return headerIn(asked, 'user-agent');
    default:
      return null;
  }
}

export function headerIn({ headers }: Asked, name: string): string | null {
  const values = headers.filter(([key]) => key === name).map(([, value]) => value);
  return values.length === 0 ? null : values.join(',');
}

function pathAlone(path: string): string {
  return path.replace(/[?#].*$/s, '');
}

function parameterIn(path: string, name: string): string | null {
  const [, query = ''] = /\?([^#]*)/.exec(path) ?? [];
  for (const one of query.split('&')) {
    const [key = '', ...value] = one.split('=');
    if (one !== '' && decoded(key) === name) return decoded(value.join('='));
  }
  return null;
}

function decoded(text: string): string {
  const plain = Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(plain, 'latin1').toString('utf8');
}

/** Of several with one name the first. */
export function cookieIn({ headers }: Asked, name: string): string | null {
  for (const [key, value] of headers) {
    if (key !== 'cookie') continue;
    for (const piece of value.split(';')) {
      const at = piece.indexOf('=');
      if (at !== -1 && trimmed(piece.slice(0, at)) === name) return trimmed(piece.slice(at + 1)).replace(/^"(.*)"$/, '$1');
    }
  }
  return null;
}

function trimmed(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

function calledIn(asked: Asked, place: 0 | 1): string | null {
  if (headerIn(asked, 'content-type')?.startsWith('application/grpc') !== true) return null;
  const [, service, method] = /^\/([^/]*)\/(.*)$/.exec(pathAlone(asked.request.path)) ?? [];
  return (place === 0 ? service : method) ?? null;
}

function callerIn({ request: { source, peer }, properties }: Asked, inner: string, label: string): string | null {
  // Of an outbound request nothing is told.
  const known = properties.has('connection\0uri_san_peer_certificate') ? source : undefined;
  const [, namespace, account] = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)/.exec(known ?? '') ?? [];
  if (inner === 'id') return known ?? null;
  if (inner === 'namespace') return namespace ?? null;
  if (inner === 'serviceAccount') return account ?? null;
  if (inner === 'labels') return peer?.labels !== undefined && Object.hasOwn(peer.labels, label) ? (peer.labels[label] ?? null) : null;
  return (inner === 'workload' ? peer?.workload : inner === 'service' ? peer?.service : peer?.version) ?? null;
}
