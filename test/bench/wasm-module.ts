import { readFile } from 'node:fs/promises';

const OK = 0;
const NOT_FOUND = 1;
const EMPTY = 7;

export interface HostCounts {
  calls: number;
  headerReads: number;
  clockReads: number;
  /** Bytes that the host copied into the module's memory. */
  copied: number;
}

type Export = (...parameters: number[]) => number;

/**
 * The filter in Node's V8 with the least host that lets it work: what a call costs here is the module and one copy of the
 * bytes it asked for, nothing else. A host that checks everything is `filter/host/vm.ts`.
 */
export class WasmModule {
  readonly counts: HostCounts = { calls: 0, headerReads: 0, clockReads: 0, copied: 0 };
  readonly memory: WebAssembly.Memory;
  readonly #exports: Record<string, Export>;
  // Looked up once: a look-up by name in a module's exports costs as much as the call.
  readonly #create: Export;
  readonly #requestHeaders: Export;
  readonly #afterwards: readonly Export[];
  readonly #headers: Uint8Array;
  #view: DataView;
  #bytes: Uint8Array;
  #now = 1_000_000_000_000n;
  #queue = false;
  #nextStream = 100;
  #polls = 0;
  #configuration = new TextEncoder().encode('{"cluster":"bench","token":"bench","direction":"inbound"}');
  readonly #shared = new Map<string, { value: Uint8Array; cas: number }>();
  #answer: { headers: Record<string, string>; body: Uint8Array } = { headers: {}, body: new Uint8Array() };
  #answeredCall = 0;
  #done = false;
  /** When the callback that is under way began, if its own time is to be seen by the module. */
  #since: bigint | undefined;

  private constructor(module: WebAssembly.Module, headers: Uint8Array) {
    this.#headers = headers;
    const imports: WebAssembly.Imports = {};
    const hosted = this.#host();
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      imports[from] ??= {};
      const implemented = hosted[name];
      // Everything else succeeds and does nothing.
      (imports[from] as Record<string, unknown>)[name] = (...parameters: number[]): number => {
        this.counts.calls++;
        return implemented === undefined ? OK : implemented(...parameters);
      };
    }
    // The one call in the measured way goes straight to its implementation.
    const env = imports.env as Record<string, unknown>;
    env.proxy_get_header_map_pairs = hosted.proxy_get_header_map_pairs;
    const instance = new WebAssembly.Instance(module, imports);
    this.#exports = instance.exports as unknown as Record<string, Export>;
    const nothing: Export = () => 0;
    this.#create = this.#exports.proxy_on_context_create ?? nothing;
    this.#requestHeaders = this.#exports.proxy_on_request_headers ?? nothing;
    this.#afterwards = ['proxy_on_response_headers', 'proxy_on_done', 'proxy_on_log', 'proxy_on_delete'].flatMap(
      (name) => this.#exports[name] ?? [],
    );
    this.memory = instance.exports.memory as WebAssembly.Memory;
    this.#view = new DataView(this.memory.buffer);
    this.#bytes = new Uint8Array(this.memory.buffer);
  }

  /** @param headers what a request has, in the form of proxy_get_header_map_pairs */
  static async start(path: string, headers: Uint8Array): Promise<WasmModule> {
    const host = new WasmModule(new WebAssembly.Module(await readFile(path)), headers);
    host.#call('_initialize');
    host.#call('proxy_on_context_create', 1, 0);
    host.#call('proxy_on_vm_start', 1, 0);
    host.#call('proxy_on_configure', 1, host.#configuration.length);
    return host;
  }

  /**
   * Hands over a ruleset as a control plane would, and lets the timer run until the module has it.
   *
   * @returns milliseconds that the module computed until it had it in force and shared, and the longest of them in one callback
   */
  take(ruleset: Uint8Array, version: string): { readonly all: number; readonly longest: number } {
    this.#answer = {
      headers: { ':status': '200', etag: `"${version}"`, 'x-hfi-time': String(Number(this.#now / 1_000_000n)) },
      body: ruleset,
    };
    const answered = this.#answeredCall;
    let all = 0;
    let longest = 0;
    const timed = (name: string, ...parameters: number[]): void => {
      const from = process.hrtime.bigint();
      this.#since = from;
      this.#call(name, ...parameters);
      const taken = process.hrtime.bigint() - from;
      this.#since = undefined;
      this.#now += taken;
      if (this.#answeredCall === answered || this.#done) return;
      all += Number(taken) / 1e6;
      longest = Math.max(longest, Number(taken) / 1e6);
      this.#done = this.#has(version);
    };
    this.#done = false;
    for (let i = 0; i < 50; i++) {
      this.#now += 100_000_000n;
      timed('proxy_on_tick', 1);
      while (this.#queue) {
        this.#queue = false;
        timed('proxy_on_queue_ready', 1, 1);
      }
      if (this.#answeredCall === answered && answered < this.#polls) {
        this.#answeredCall = this.#polls;
        timed('proxy_on_http_call_response', 1, this.#polls, 3, ruleset.length, 0);
      }
    }
    if (!this.#done) throw new Error('the module did not take the ruleset');
    return { all, longest };
  }

  /** Whether the module shares a ruleset of that version with its neighbours. */
  #has(version: string): boolean {
    const shared = this.#shared.get('hfi/ruleset')?.value;
    return shared !== undefined && Buffer.from(shared.subarray(0, 16)).toString('latin1') === version;
  }

  /** One request as Envoy hands it over: all the callbacks that the module exports for one. @returns the action */
  request(): number {
    const stream = this.#nextStream++;
    this.#create(stream, 1);
    const action = this.#requestHeaders(stream, 10, 1);
    for (const callback of this.#afterwards) callback(stream, 3, 1);
    return action;
  }

  #call(name: string, ...parameters: number[]): void {
    this.#exports[name]?.(...parameters);
    if (this.#bytes.length === 0) this.#refresh();
  }

  // The memory may have grown, which detaches what looked at it.
  #refresh(): void {
    this.#view = new DataView(this.memory.buffer);
    this.#bytes = new Uint8Array(this.memory.buffer);
  }

  #give(bytes: Uint8Array, address: number, length: number): number {
    const at = (this.#exports.proxy_on_memory_allocate?.(bytes.length) ?? 0) >>> 0;
    if (this.#bytes.length === 0) this.#refresh();
    this.#bytes.set(bytes, at);
    this.counts.copied += bytes.length;
    this.#view.setUint32(address, at, true);
    this.#view.setUint32(length, bytes.length, true);
    return OK;
  }

  #text(at: number, length: number): string {
    if (this.#bytes.length === 0) this.#refresh();
    return Buffer.from(this.#bytes.subarray(at, at + length)).toString('latin1');
  }

  #number(at: number, value: number): number {
    if (this.#bytes.length === 0) this.#refresh();
    this.#view.setUint32(at, value, true);
    return OK;
  }

  #host(): Record<string, (...parameters: number[]) => number> {
    const clock = (at: number): number => {
      this.counts.clockReads++;
      if (this.#bytes.length === 0) this.#refresh();
      const passed = this.#since === undefined ? 0n : process.hrtime.bigint() - this.#since;
      this.#view.setBigUint64(at, this.#now + passed, true);
      return OK;
    };
    return {
      proxy_get_header_map_pairs: (_map = 0, address = 0, length = 0) => {
        this.counts.calls++;
        this.counts.headerReads++;
        return this.#give(this.#headers, address, length);
      },
      proxy_get_current_time_nanoseconds: (at = 0) => clock(at),
      clock_time_get: (_id = 0, _precision = 0, at = 0) => clock(at),
      random_get: (at = 0, length = 0) => {
        for (let i = 0; i < length; i++) this.#bytes[at + i] = (i * 37 + 11) & 0xff;
        return OK;
      },
      proxy_get_buffer_bytes: (kind = 0, _from = 0, _size = 0, address = 0, length = 0) =>
        this.#give(kind === 7 ? this.#configuration : this.#answer.body, address, length),
      proxy_get_header_map_value: (_map = 0, name = 0, nameLength = 0, address = 0, length = 0) => {
        const value = this.#answer.headers[this.#text(name, nameLength)];
        return value === undefined ? NOT_FOUND : this.#give(Buffer.from(value), address, length);
      },
      proxy_get_property: (path = 0, pathLength = 0, address = 0, length = 0) => {
        const name = this.#text(path, pathLength).split('\0').at(-1);
        return this.#give(name === 'LABELS' ? new Uint8Array(4) : Buffer.from(`bench-${name}`), address, length);
      },
      proxy_get_shared_data: (key = 0, keyLength = 0, address = 0, length = 0, cas = 0) => {
        const found = this.#shared.get(this.#text(key, keyLength));
        if (found === undefined) return NOT_FOUND;
        this.#number(cas, found.cas);
        return this.#give(found.value, address, length);
      },
      proxy_set_shared_data: (key = 0, keyLength = 0, value = 0, length = 0) => {
        const name = this.#text(key, keyLength);
        this.#shared.set(name, { value: this.#bytes.slice(value, value + length), cas: (this.#shared.get(name)?.cas ?? 0) + 1 });
        return OK;
      },
      proxy_register_shared_queue: (_name = 0, _length = 0, out = 0) => this.#number(out, 1),
      proxy_enqueue_shared_queue: () => {
        this.#queue = true;
        return OK;
      },
      proxy_dequeue_shared_queue: () => EMPTY,
      proxy_define_metric: (_kind = 0, _name = 0, _length = 0, out = 0) => this.#number(out, 1),
      proxy_http_call: (...parameters) => this.#number(parameters[9] ?? 0, ++this.#polls),
    };
  }
}
