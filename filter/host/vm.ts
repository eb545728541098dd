import { REPORTS_PATH } from '../assembly/protocol.ts';
import { bytes, pairs, textOf, unpair } from './header-pairs.ts';
import type { Process } from './process.ts';

/**
 * A host for the filter in Node: the part of proxy-Wasm 0.2.1 that the filter uses (proxy-wasm/spec `abi-versions/v0.2.1`,
 * and what Envoy's `proxy-wasm-cpp-host` does where the specification is silent). Clock, entropy and the control plane's
 * answers are those of whoever uses it. It knows nothing of policies.
 */

const OK = 0;
const NOT_FOUND = 1;
const BAD_ARGUMENT = 2;
const CAS_MISMATCH = 8;
const EMPTY = 7;
const INTERNAL_FAILURE = 10;

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

/** One VM: a worker's, or the main thread's. */
export class Vm {
  readonly exports: Exports;
  readonly timers = new Map<number, { at: bigint; period: bigint }>();
  readonly streams = new Map<number, Stream>();
  readonly roots = new Map<number, Uint8Array>();
  queueRoot = 0;
  /** Set, the VM gets no callbacks: its thread is stuck. */
  dead = false;
  /** Host calls and bytes handed to the VM since `resetCounts`, by the function's name. */
  readonly counts = new Map<string, number>();
  copied = 0;
  readonly process: Process;
  #context = 0;
  #effective = 0;
  #stopNext = false;
  #configuration: Uint8Array = new Uint8Array();
  #answer: { headers: readonly (readonly [string, string])[]; body: Uint8Array } | undefined;

  constructor(process: Process, module: WebAssembly.Module) {
    this.process = process;
    const instance = new WebAssembly.Instance(module, this.#imports());
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
    this.copied = 0;
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

  #rootOf(context: number): number {
    return this.streams.get(context)?.root ?? context;
  }

  #read(at: number, length: number): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer, at, length).slice();
  }

  #text(at: number, length: number): string {
    return textOf(this.#read(at, length));
  }

  #u32(at: number, value: number): void {
    new DataView(this.exports.memory.buffer).setUint32(at, value, true);
  }

  #give(value: Uint8Array | undefined, addressAt: number, lengthAt: number): number {
    if (value === undefined) return NOT_FOUND;
    const at = this.exports.proxy_on_memory_allocate(value.length);
    if (at === 0) return INTERNAL_FAILURE;
    new Uint8Array(this.exports.memory.buffer).set(value, at);
    this.#u32(addressAt, at);
    this.#u32(lengthAt, value.length);
    this.copied += value.length;
    return OK;
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

  #imports(): WebAssembly.Imports {
    const { process } = this;
    const env = {
      proxy_log: (level: number, at: number, length: number) => {
        process.logs.push(`${level} ${this.#text(at, length)}`);
        return OK;
      },
      proxy_set_tick_period_milliseconds: (ms: number) => {
        const root = this.#rootOf(this.#acting);
        if (ms === 0) this.timers.delete(root);
        else this.timers.set(root, { at: process.nowNs + BigInt(ms) * 1_000_000n, period: BigInt(ms) * 1_000_000n });
        return OK;
      },
      proxy_get_current_time_nanoseconds: (at: number) => {
        new DataView(this.exports.memory.buffer).setBigUint64(at, process.look(), true);
        return OK;
      },
      proxy_get_property: (path: number, length: number, address: number, size: number) => {
        const name = this.#text(path, length);
        const noted = this.streams.get(this.#acting)?.notes.get(name);
        return this.#give(noted === undefined ? process.properties.get(name) : bytes(noted), address, size);
      },
      proxy_get_shared_data: (key: number, length: number, address: number, size: number, cas: number) => {
        const entry = process.shared.get(this.#text(key, length));
        if (entry === undefined) return NOT_FOUND;
        this.#u32(cas, entry.cas);
        return this.#give(entry.value, address, size);
      },
      proxy_set_shared_data: (key: number, length: number, value: number, size: number, cas: number) => {
        const name = this.#text(key, length);
        const entry = process.shared.get(name);
        // As the real host: a change number of 0 writes whatever is there.
        if (entry !== undefined && cas !== 0 && cas !== entry.cas) return CAS_MISMATCH;
        process.shared.set(name, { value: this.#read(value, size), cas: (entry?.cas ?? 0) + 1 });
        return OK;
      },
      proxy_register_shared_queue: (name: number, length: number, token: number) => {
        const id = process.nextId();
        process.queues.set(id, { name: this.#text(name, length), vm: this, messages: [] });
        this.queueRoot = this.#acting;
        this.#u32(token, id);
        return OK;
      },
      proxy_enqueue_shared_queue: (token: number, at: number, length: number) => {
        const queue = process.queues.get(token);
        queue?.messages.push(this.#read(at, length));
        return queue === undefined ? NOT_FOUND : OK;
      },
      proxy_dequeue_shared_queue: (token: number, address: number, size: number) => {
        const queue = process.queues.get(token);
        const message = queue?.messages.shift();
        return message === undefined ? EMPTY : this.#give(message, address, size);
      },
      proxy_get_header_map_pairs: (type: number, address: number, size: number) => {
        const stream = this.streams.get(this.#acting);
        return type === 0 ? this.#give(stream?.headers, address, size) : BAD_ARGUMENT;
      },
      proxy_get_header_map_value: (type: number, key: number, length: number, address: number, size: number) => {
        const name = this.#text(key, length);
        const found = this.#headerMap(type).find(([header]) => header === name);
        return this.#give(found === undefined ? undefined : bytes(found[1]), address, size);
      },
      proxy_replace_header_map_value: (type: number, key: number, keyLength: number, value: number, length: number) => {
        const [name, text] = [this.#text(key, keyLength), this.#text(value, length)];
        const map = this.#headerMap(type);
        const at = map.findIndex(([header]) => header === name);
        const others = map.filter(([header]) => header !== name);
        return this.#setHeaderMap(type, others.toSpliced(at === -1 ? others.length : at, 0, [name, text]));
      },
      proxy_add_header_map_value: (type: number, key: number, keyLength: number, value: number, length: number) =>
        this.#setHeaderMap(type, [...this.#headerMap(type), [this.#text(key, keyLength), this.#text(value, length)]]),
      proxy_remove_header_map_value: (type: number, key: number, length: number) => {
        const name = this.#text(key, length);
        return this.#setHeaderMap(
          type,
          this.#headerMap(type).filter(([header]) => header !== name),
        );
      },
      proxy_get_buffer_bytes: (type: number, start: number, length: number, address: number, size: number) => {
        const piece = type < 2 ? this.streams.get(this.#acting)?.piece : undefined;
        const source = type === 7 ? this.#configuration : type === 4 ? this.#answer?.body : piece;
        return this.#give(source?.subarray(start, start + length), address, size);
      },
      proxy_set_buffer_bytes: (type: number, start: number, length: number, data: number, size: number) => {
        const stream = this.streams.get(this.#acting);
        if (type > 1 || stream === undefined) return BAD_ARGUMENT;
        const { piece } = stream;
        // As the real host: in front of all, in the place of all, or behind all.
        if (start === 0 && length === 0) stream.piece = Buffer.concat([this.#read(data, size), piece]);
        else if (start === 0 && length >= piece.length) stream.piece = this.#read(data, size);
        else if (start >= piece.length) stream.piece = Buffer.concat([piece, this.#read(data, size)]);
        else return BAD_ARGUMENT;
        return OK;
      },
      proxy_set_property: (path: number, length: number, value: number, size: number) => {
        this.streams.get(this.#acting)?.notes.set(this.#text(path, length), this.#text(value, size));
        return OK;
      },
      proxy_close_stream: () => {
        const stream = this.streams.get(this.#acting);
        if (stream === undefined) return BAD_ARGUMENT;
        stream.reset = true;
        return OK;
      },
      proxy_http_call: (cluster: number, clusterLength: number, headers: number, headersLength: number, ...rest: number[]) => {
        if (process.refuseCalls) return BAD_ARGUMENT;
        const token = process.nextId();
        const [body = 0, bodyLength = 0, , , timeoutMs = 0, tokenAt = 0] = rest;
        this.#u32(tokenAt, token);
        const call = {
          vm: this,
          token,
          cluster: this.#text(cluster, clusterLength),
          headers: Object.fromEntries(unpair(this.#read(headers, headersLength))),
          body: this.#text(body, bodyLength),
          timeoutMs,
        };
        (call.headers[':path'] === REPORTS_PATH ? process.reports : process.calls).push(call);
        return OK;
      },
      proxy_define_metric: (type: number, name: number, length: number, id: number) => {
        const metric = this.#text(name, length);
        const known = process.metrics.get(metric);
        const number = known?.id ?? process.metricNames.push(metric) - 1;
        if (known === undefined) process.metrics.set(metric, { id: number, type, value: 0n, records: [] });
        this.#u32(id, number);
        return OK;
      },
      proxy_increment_metric: (id: number, by: bigint) => {
        const metric = process.metrics.get(process.metricNames[id] ?? '');
        if (metric === undefined) return BAD_ARGUMENT;
        metric.value += BigInt.asIntN(64, by);
        return OK;
      },
      proxy_record_metric: (id: number, value: bigint) => {
        const metric = process.metrics.get(process.metricNames[id] ?? '');
        if (metric === undefined) return BAD_ARGUMENT;
        if (metric.type === 2) metric.records.push(value);
        metric.value = value;
        return OK;
      },
      proxy_get_metric: (id: number, at: number) => {
        const metric = process.metrics.get(process.metricNames[id] ?? '');
        if (metric === undefined) return BAD_ARGUMENT;
        new DataView(this.exports.memory.buffer).setBigUint64(at, metric.value, true);
        return OK;
      },
      proxy_set_effective_context: (context: number) => {
        if (!this.streams.has(context) && !this.roots.has(context)) return BAD_ARGUMENT;
        this.#effective = context;
        return OK;
      },
      proxy_continue_stream: (type: number) => {
        const stream = this.streams.get(this.#acting);
        if (stream === undefined) return BAD_ARGUMENT;
        if (type === 0) {
          stream.continued++;
          stream.gone = true;
        } else stream.continuedResponse++;
        return OK;
      },
      proxy_send_local_response: (...args: number[]) => {
        const stream = this.streams.get(this.#acting);
        if (stream === undefined) return BAD_ARGUMENT;
        const [status = 0, details = 0, detailsLength = 0, body = 0, bodyLength = 0, headers = 0, headersLength = 0, grpcStatus = 0] = args;
        this.#stopNext = true;
        stream.replies.push({
          status,
          details: this.#text(details, detailsLength),
          body: this.#text(body, bodyLength),
          headers: unpair(this.#read(headers, headersLength)),
          grpcStatus: grpcStatus | 0,
        });
        return OK;
      },
    };
    const wasi = {
      random_get: (at: number, length: number) => {
        for (let i = 0; i < length; i++) new Uint8Array(this.exports.memory.buffer)[at + i] = Number(process.entropy() & 0xffn);
        return 0;
      },
      clock_time_get: (_id: number, _precision: bigint, at: number) => {
        new DataView(this.exports.memory.buffer).setBigUint64(at, process.look(), true);
        return 0;
      },
    };
    const log_execution = (place: number): void => process.reached(place);
    return { env: { ...this.#counted(env), log_execution }, wasi_snapshot_preview1: this.#counted(wasi) };
  }

  #counted<Functions extends Record<string, (...args: never[]) => number>>(
    functions: Functions,
  ): Record<string, (...args: never[]) => number> {
    return Object.fromEntries(
      Object.entries(functions).map(([name, run]) => [
        name,
        (...args: never[]) => {
          this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
          return run(...args);
        },
      ]),
    );
  }
}
