import type { LocalReply } from '../../filter/host/abi.ts';
import type { Case, Header } from './case.ts';
import { hasBody, wireHeaders } from './host.ts';

/** What Envoy makes of a filter's reply on its way to the client (envoy `source/common/http/utility.cc`, `prepareLocalReply`). */

/** The gRPC status of an HTTP status (envoy `source/common/grpc/status.cc`, `httpToGrpcStatus`); others are 2, UNKNOWN. */
const GRPC_OF_HTTP: Readonly<Record<number, number>> = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 };

/** A local reply as the client of this request sees it. */
export function seenByClient(reply: LocalReply, request: Case['request']): { status: number; body: string; headers: Header[] } {
  const { headers, body, status } = reply;
  if (isGrpc(request)) {
    const code = reply.grpcStatus >= 0 ? reply.grpcStatus : (GRPC_OF_HTTP[status] ?? 2);
    const message: Header[] = body === '' ? [] : [['grpc-message', percentEncoded(body)]];
    const others = headers.filter(([name]) => name !== 'content-type');
    return { status: 200, body: '', headers: [...others, ['content-type', 'application/grpc'], ['grpc-status', String(code)], ...message] };
  }
  const typed = body === '' || headers.some(([name]) => name === 'content-type');
  const type: Header[] = typed ? [] : [['content-type', 'text/plain']];
  const size: Header[] = body === '' ? [] : [['content-length', String(Buffer.byteLength(body))]];
  return { status, body: hasBody(request.method, status) ? body : '', headers: [...headers, ...type, ...size] };
}

/** `application/grpc`, alone or followed by `+`. */
function isGrpc(request: Case['request']): boolean {
  const type = wireHeaders(request).find(([name]) => name === 'content-type')?.[1] ?? '';
  return type === 'application/grpc' || type.startsWith('application/grpc+');
}

/** As a gRPC message is written (gRPC over HTTP/2, "Responses"). */
function percentEncoded(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const plain = byte >= 0x20 && byte < 0x7e && byte !== 0x25;
      return plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
