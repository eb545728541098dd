import { FLAG_GRPC, FLAG_PROBES } from '../../../filter/assembly/layout.ts';
import { HEADER_FAULT } from '../../../filter/assembly/protocol.ts';
import { heldMs } from '../../policy/end.ts';
import type { Fault, Rule } from '../../policy/schema.ts';

const utf8 = new TextEncoder();

/** The HTTP status that a gRPC status stands for, by code (google/rpc/code.proto, "HTTP Mapping"). */
const HTTP_OF_GRPC: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** A rule's fault as the layout's rule record holds it. */
export interface CompiledFault {
  readonly threshold: number;
  readonly flags: number;
  readonly delayMs: number;
  readonly httpStatus: number;
  readonly grpcStatus: number;
  readonly body: string;
  readonly pairs: Uint8Array;
}

/**
 * @param name `<policy>/<rule index>`, for the response header
 */
export function compileFault(rule: Rule, name: string): CompiledFault {
  const { abort } = rule.fault;
  const grpc = abort?.grpcStatus;
  return {
    threshold: threshold(rule.fault),
    flags: (rule.match?.probes === true ? FLAG_PROBES : 0) | (grpc === undefined ? 0 : FLAG_GRPC),
    delayMs: heldMs(rule.fault),
    httpStatus: abort === undefined ? 0 : (abort.httpStatus ?? HTTP_OF_GRPC[grpc ?? 2] ?? 500),
    grpcStatus: grpc ?? 0,
    body: abort?.body ?? abort?.grpcMessage ?? '',
    pairs: abort === undefined ? new Uint8Array() : headerPairs([[HEADER_FAULT, name], ...Object.entries(abort.headers ?? {})]),
  };
}

/** The draw below which a rule fires: its share of 2^32, where all ones mean always. */
function threshold(fault: Fault): number {
  if (fault.percentage >= 100) return 0xffffffff;
  return Math.min(Math.round((fault.percentage / 100) * 2 ** 32), 0xfffffffe);
}

/** Headers as proxy-wasm passes them: count, a pair of lengths each, then the bytes, each string ended by a zero (ABI 0.2.1). */
export function headerPairs(headers: readonly (readonly [string, string])[]): Uint8Array {
  const texts = headers.map(([name, value]) => [utf8.encode(name.toLowerCase()), utf8.encode(value)] as const);
  const size = texts.reduce((sum, [name, value]) => sum + 8 + name.length + 1 + value.length + 1, 4);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, texts.length, true);
  let at = 4 + texts.length * 8;
  texts.forEach(([name, value], i) => {
    view.setUint32(4 + i * 8, name.length, true);
    view.setUint32(8 + i * 8, value.length, true);
    bytes.set(name, at);
    bytes.set(value, at + name.length + 1);
    at += name.length + 1 + value.length + 1;
  });
  return bytes;
}
