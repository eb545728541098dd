import type { Vm } from './vm.ts';

/** What host and module say to each other (proxy-wasm/spec `abi-versions/v0.2.1`). */

export const OK = 0;
export const NOT_FOUND = 1;
export const BAD_ARGUMENT = 2;
export const CAS_MISMATCH = 8;
export const EMPTY = 7;
export const INTERNAL_FAILURE = 10;

export interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  proxy_on_memory_allocate(size: number): number;
  proxy_on_vm_start(root: number, size: number): number;
  proxy_on_configure(root: number, size: number): number;
  proxy_on_context_create(context: number, parent: number): void;
  proxy_on_request_headers(stream: number, count: number, endOfStream: number): number;
  proxy_on_request_body(stream: number, size: number, endOfStream: number): number;
  proxy_on_response_headers(stream: number, count: number, endOfStream: number): number;
  proxy_on_response_body(stream: number, size: number, endOfStream: number): number;
  proxy_on_response_trailers(stream: number, count: number): number;
  proxy_on_tick(root: number): void;
  proxy_on_queue_ready(root: number, queue: number): void;
  proxy_on_http_call_response(root: number, token: number, headers: number, body: number, trailers: number): void;
  proxy_on_delete(context: number): void;
}

/** A call of the filter that the test answers. */
export interface Call {
  readonly vm: Vm;
  readonly token: number;
  readonly cluster: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
}

/** What a stream was told. */
export interface LocalReply {
  readonly status: number;
  readonly details: string;
  readonly body: string;
  readonly headers: [string, string][];
  readonly grpcStatus: number;
}

export interface Stream {
  readonly id: number;
  readonly vm: Vm;
  readonly root: number;
  /** What `proxy_on_request_headers` returned: 0 continue, 1 stop, 4 hold. */
  action: number;
  readonly replies: LocalReply[];
  /** How often the request, or the response, was let go on. */
  continued: number;
  continuedResponse: number;
  /** The filter reset it. */
  reset: boolean;
  /** What the filter noted for the access log. */
  readonly notes: Map<string, string>;
  /** As in the real host, the request's header map is there until the request goes on. */
  gone: boolean;
  /** Serialized, as the filter gets them. */
  headers: Uint8Array;
  responseHeaders: [string, string][];
  responseTrailers: [string, string][];
  /** The piece of a body whose callback is running. */
  piece: Uint8Array;
  ended: boolean;
}
