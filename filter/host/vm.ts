import { BAD_ARGUMENT, type Call, type Exports, OK, type Stream } from './abi.ts';
import { bytes, pairs, unpair } from './header-pairs.ts';
import { type Inside, importsFor } from './imports.ts';
import { Memory } from './memory.ts';
import type { Process } from './process.ts';

/**
 * A host for the filter in Node: the part of proxy-Wasm 0.2.1 that the filter uses (proxy-wasm/spec `abi-versions/v0.2.1`,
 * and what Envoy's `proxy-wasm-cpp-host` does where the specification is silent). Clock, entropy and the control plane's
 * answers are those of whoever uses it. It knows nothing of policies.
 */

/** One VM: a worker's, or the main thread's. */
export class Vm {
  readonly exports: Exports;
  readonly timers = new Map<number, { at: bigint; period: bigint }>();
  readonly streams = new Map<number, Stream>();
  readonly roots = new Map<number, Uint8Array>();
  queueRoot = 0;
  /** Set, the VM gets no callbacks: its thread is stuck. */
  dead = false;
  /** Host calls since `resetCounts`, by the function's name. */
  readonly counts = new Map<string, number>();
  readonly process: Process;
  readonly memory: Memory = new Memory(() => this.exports);
  #context = 0;
  #effective = 0;
  #stopNext = false;
  #configuration: Uint8Array = new Uint8Array();
  #answer: { headers: readonly (readonly [string, string])[]; body: Uint8Array } | undefined;

  constructor(process: Process, module: WebAssembly.Module) {
    this.process = process;
    const instance = new WebAssembly.Instance(module, importsFor(this.#inside()));
    this.exports = instance.exports as unknown as Exports;
    this.exports._initialize();
    process.vms.push(this);
  }

  /** Makes a root context, as the host does for each different configuration. */
  configure(configuration: object | string, root = this.process.nextId()): number {
    const own = bytes(typeof configuration === 'string' ? configuration : JSON.stringify(configuration));
    this.roots.set(root, own);
    this.#configuration = own;
    this.enter(() => {
      this.exports.proxy_on_context_create(root, 0);
      this.exports.proxy_on_vm_start(root, 0);
      this.exports.proxy_on_configure(root, own.length);
    }, root);
    return root;
  }

  dropRoot(root: number): void {
    this.timers.delete(root);
    this.roots.delete(root);
    this.enter(() => this.exports.proxy_on_delete(root), root);
  }

  /** The VM vanishes without a word. */
  kill(): void {
    this.dead = true;
    this.timers.clear();
    this.process.vms.splice(this.process.vms.indexOf(this), 1);
  }

  /**
   * Begins a request.
   *
   * @param headers as pairs, or as the raw bytes that the host would hand over
   * @param last whether it has no body
   */
  request(root: number, headers: readonly (readonly [string | Uint8Array, string | Uint8Array])[] | Uint8Array, last = true): Stream {
    const id = this.process.nextId();
    const raw = headers instanceof Uint8Array ? headers : pairs(headers);
    const stream: Stream = {
      id,
      vm: this,
      root,
      action: 0,
      replies: [],
      continued: 0,
      continuedResponse: 0,
      reset: false,
      notes: new Map(),
      gone: false,
      headers: raw,
      responseHeaders: [],
      responseTrailers: [],
      piece: new Uint8Array(),
      ended: false,
    };
    this.streams.set(id, stream);
    stream.action = this.#call(stream, () => {
      this.exports.proxy_on_context_create(id, root);
      return this.exports.proxy_on_request_headers(id, 0, last ? 1 : 0);
    });
    stream.gone = stream.action === 0;
    return stream;
  }

  /** Hands over a piece of the request's body. @returns what the host is to do with what `stream.piece` is then */
  requestBody(stream: Stream, piece: Uint8Array, last: boolean): number {
    stream.piece = piece;
    return this.#call(stream, () => this.exports.proxy_on_request_body(stream.id, piece.length, last ? 1 : 0));
  }

  /** The service answered. @returns what the host is to do with it */
  response(stream: Stream, headers: readonly (readonly [string, string])[], last: boolean): number {
    stream.responseHeaders = headers.map(([name, value]) => [name, value]);
    return this.#call(stream, () => this.exports.proxy_on_response_headers(stream.id, headers.length, last ? 1 : 0));
  }

  responseBody(stream: Stream, piece: Uint8Array, last: boolean): number {
    stream.piece = piece;
    return this.#call(stream, () => this.exports.proxy_on_response_body(stream.id, piece.length, last ? 1 : 0));
  }

  trailers(stream: Stream, trailers: readonly (readonly [string, string])[]): number {
    stream.responseTrailers = trailers.map(([name, value]) => [name, value]);
    return this.#call(stream, () => this.exports.proxy_on_response_trailers(stream.id, trailers.length));
  }

  #call(stream: Stream, run: () => number): number {
    this.#stopNext = false;
    let action = 0;
    this.enter(() => {
      action = run();
    }, stream.id);
    // As the real host: a local response, whomever it was for, stops the stream whose callback is running.
    return this.#stopNext && action === 0 ? 4 : action;
  }

  /** The stream is over, by its end or because the client went away. */
  end(stream: Stream): void {
    stream.ended = true;
    this.streams.delete(stream.id);
    this.enter(() => this.exports.proxy_on_delete(stream.id), stream.id);
  }

  /** Answers a call; no headers mean that no answer came. */
  answer(call: Call, headers: readonly (readonly [string, string])[], body: Uint8Array = new Uint8Array()): void {
    this.#answer = { headers, body };
    const root = [...this.roots.keys()][0] ?? 0;
    this.enter(() => this.exports.proxy_on_http_call_response(root, call.token, headers.length, body.length, 0), root);
    this.#answer = undefined;
    this.process.deliver();
  }

  resetCounts(): void {
    this.counts.clear();
    this.memory.copied = 0;
  }

  enter(run: () => void, context: number): void {
    const before = [this.#context, this.#effective] as const;
    this.#context = context;
    this.#effective = 0;
    try {
      run();
    } finally {
      [this.#context, this.#effective] = before;
    }
  }

  get #acting(): number {
    return this.#effective === 0 ? this.#context : this.#effective;
  }

  /** The root context that a stream belongs to; else the context itself. */
  rootOf(context: number): number {
    return this.streams.get(context)?.root ?? context;
  }

  #headerMap(type: number): readonly [string, string][] {
    const stream = this.streams.get(this.#acting);
    if (type === 6) return (this.#answer?.headers ?? []).map(([name, value]) => [name, value]);
    if (type === 2) return stream?.responseHeaders ?? [];
    if (type === 3) return stream?.responseTrailers ?? [];
    return stream === undefined || stream.gone ? [] : unpair(stream.headers);
  }

  #setHeaderMap(type: number, map: [string, string][]): number {
    const stream = this.streams.get(this.#acting);
    if (stream === undefined) return BAD_ARGUMENT;
    if (type === 0) stream.headers = pairs(map);
    else if (type === 2) stream.responseHeaders = map;
    else if (type === 3) stream.responseTrailers = map;
    else return BAD_ARGUMENT;
    return OK;
  }

  /** Bytes handed to the VM since `resetCounts`. */
  get copied(): number {
    return this.memory.copied;
  }

  #inside(): Inside {
    return {
      vm: this,
      memory: this.memory,
      acting: () => this.#acting,
      actFor: (context) => {
        this.#effective = context;
      },
      stream: () => this.streams.get(this.#acting),
      headerMap: (type) => this.#headerMap(type),
      setHeaderMap: (type, map) => this.#setHeaderMap(type, map),
      configuration: () => this.#configuration,
      answer: () => this.#answer,
      stopNext: () => {
        this.#stopNext = true;
      },
    };
  }
}
