import { REPORTS_PATH } from '../assembly/protocol.ts';
import { BAD_ARGUMENT, CAS_MISMATCH, EMPTY, NOT_FOUND, OK, type Stream } from './abi.ts';
import { bytes, unpair } from './header-pairs.ts';
import type { Memory } from './memory.ts';
import type { Vm } from './vm.ts';

/** What a VM lets the host's functions see of the callback that runs. */
export interface Inside {
  readonly vm: Vm;
  readonly memory: Memory;
  /** The context on whose behalf the module calls, and its stream. */
  acting(): number;
  actFor(context: number): void;
  stream(): Stream | undefined;
  headerMap(type: number): readonly [string, string][];
  setHeaderMap(type: number, map: [string, string][]): number;
  configuration(): Uint8Array;
  /** The answer to a call that is being handed over. */
  answer(): { readonly headers: readonly (readonly [string, string])[]; readonly body: Uint8Array } | undefined;
  /** A local response was sent. */
  stopNext(): void;
}

/** The functions that the module imports. */
export function importsFor(inside: Inside): WebAssembly.Imports {
  const { vm, memory } = inside;
  const { process } = vm;
  const env = {
    proxy_log: (level: number, at: number, length: number) => {
      process.logs.push(`${level} ${memory.text(at, length)}`);
      return OK;
    },
    proxy_set_tick_period_milliseconds: (ms: number) => {
      const root = vm.rootOf(inside.acting());
      if (ms === 0) vm.timers.delete(root);
      else vm.timers.set(root, { at: process.nowNs + BigInt(ms) * 1_000_000n, period: BigInt(ms) * 1_000_000n });
      return OK;
    },
    proxy_get_current_time_nanoseconds: (at: number) => {
      memory.u64(at, process.look());
      return OK;
    },
    proxy_get_property: (path: number, length: number, address: number, size: number) => {
      const name = memory.text(path, length);
      const noted = inside.stream()?.notes.get(name);
      return memory.give(noted === undefined ? process.properties.get(name) : bytes(noted), address, size);
    },
    proxy_get_shared_data: (key: number, length: number, address: number, size: number, cas: number) => {
      const entry = process.shared.get(memory.text(key, length));
      if (entry === undefined) return NOT_FOUND;
      memory.u32(cas, entry.cas);
      return memory.give(entry.value, address, size);
    },
    proxy_set_shared_data: (key: number, length: number, value: number, size: number, cas: number) => {
      const name = memory.text(key, length);
      const entry = process.shared.get(name);
      // As the real host: a change number of 0 writes whatever is there.
      if (entry !== undefined && cas !== 0 && cas !== entry.cas) return CAS_MISMATCH;
      process.shared.set(name, { value: memory.read(value, size), cas: (entry?.cas ?? 0) + 1 });
      return OK;
    },
    proxy_register_shared_queue: (name: number, length: number, token: number) => {
      const id = process.nextId();
      process.queues.set(id, { name: memory.text(name, length), vm, messages: [] });
      vm.queueRoot = inside.acting();
      memory.u32(token, id);
      return OK;
    },
    proxy_enqueue_shared_queue: (token: number, at: number, length: number) => {
      const queue = process.queues.get(token);
      queue?.messages.push(memory.read(at, length));
      return queue === undefined ? NOT_FOUND : OK;
    },
    proxy_dequeue_shared_queue: (token: number, address: number, size: number) => {
      const queue = process.queues.get(token);
      const message = queue?.messages.shift();
      return message === undefined ? EMPTY : memory.give(message, address, size);
    },
    proxy_get_header_map_pairs: (type: number, address: number, size: number) => {
      const stream = inside.stream();
      return type === 0 ? memory.give(stream?.headers, address, size) : BAD_ARGUMENT;
    },
    proxy_get_header_map_value: (type: number, key: number, length: number, address: number, size: number) => {
      const name = memory.text(key, length);
      const found = inside.headerMap(type).find(([header]) => header === name);
      return memory.give(found === undefined ? undefined : bytes(found[1]), address, size);
    },
    proxy_replace_header_map_value: (type: number, key: number, keyLength: number, value: number, length: number) => {
      const [name, text] = [memory.text(key, keyLength), memory.text(value, length)];
      const map = inside.headerMap(type);
      const at = map.findIndex(([header]) => header === name);
      const others = map.filter(([header]) => header !== name);
      return inside.setHeaderMap(type, others.toSpliced(at === -1 ? others.length : at, 0, [name, text]));
    },
    proxy_add_header_map_value: (type: number, key: number, keyLength: number, value: number, length: number) =>
      inside.setHeaderMap(type, [...inside.headerMap(type), [memory.text(key, keyLength), memory.text(value, length)]]),
    proxy_remove_header_map_value: (type: number, key: number, length: number) => {
      const name = memory.text(key, length);
      return inside.setHeaderMap(
        type,
        inside.headerMap(type).filter(([header]) => header !== name),
      );
    },
    proxy_get_buffer_bytes: (type: number, start: number, length: number, address: number, size: number) => {
      const piece = type < 2 ? inside.stream()?.piece : undefined;
      const source = type === 7 ? inside.configuration() : type === 4 ? inside.answer()?.body : piece;
      return memory.give(source?.subarray(start, start + length), address, size);
    },
    proxy_set_buffer_bytes: (type: number, start: number, length: number, data: number, size: number) => {
      const stream = inside.stream();
      if (type > 1 || stream === undefined) return BAD_ARGUMENT;
      const { piece } = stream;
      // As the real host: in front of all, in the place of all, or behind all.
      if (start === 0 && length === 0) stream.piece = Buffer.concat([memory.read(data, size), piece]);
      else if (start === 0 && length >= piece.length) stream.piece = memory.read(data, size);
      else if (start >= piece.length) stream.piece = Buffer.concat([piece, memory.read(data, size)]);
      else return BAD_ARGUMENT;
      return OK;
    },
    proxy_set_property: (path: number, length: number, value: number, size: number) => {
      inside.stream()?.notes.set(memory.text(path, length), memory.text(value, size));
      return OK;
    },
    proxy_close_stream: () => {
      const stream = inside.stream();
      if (stream === undefined) return BAD_ARGUMENT;
      stream.reset = true;
      return OK;
    },
    proxy_http_call: (cluster: number, clusterLength: number, headers: number, headersLength: number, ...rest: number[]) => {
      if (process.refuseCalls) return BAD_ARGUMENT;
      const token = process.nextId();
      const [body = 0, bodyLength = 0, , , timeoutMs = 0, tokenAt = 0] = rest;
      memory.u32(tokenAt, token);
      const call = {
        vm,
        token,
        cluster: memory.text(cluster, clusterLength),
        headers: Object.fromEntries(unpair(memory.read(headers, headersLength))),
        body: memory.text(body, bodyLength),
        timeoutMs,
      };
      (call.headers[':path'] === REPORTS_PATH ? process.reports : process.calls).push(call);
      return OK;
    },
    proxy_define_metric: (type: number, name: number, length: number, id: number) => {
      const metric = memory.text(name, length);
      const known = process.metrics.get(metric);
      const number = known?.id ?? process.metricNames.push(metric) - 1;
      if (known === undefined) process.metrics.set(metric, { id: number, type, value: 0n, records: [] });
      memory.u32(id, number);
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
      memory.u64(at, metric.value);
      return OK;
    },
    proxy_set_effective_context: (context: number) => {
      if (!vm.streams.has(context) && !vm.roots.has(context)) return BAD_ARGUMENT;
      inside.actFor(context);
      return OK;
    },
    proxy_continue_stream: (type: number) => {
      const stream = inside.stream();
      if (stream === undefined) return BAD_ARGUMENT;
      if (type === 0) {
        stream.continued++;
        stream.gone = true;
      } else stream.continuedResponse++;
      return OK;
    },
    proxy_send_local_response: (...args: number[]) => {
      const stream = inside.stream();
      if (stream === undefined) return BAD_ARGUMENT;
      const [status = 0, details = 0, detailsLength = 0, body = 0, bodyLength = 0, headers = 0, headersLength = 0, grpcStatus = 0] = args;
      inside.stopNext();
      stream.replies.push({
        status,
        details: memory.text(details, detailsLength),
        body: memory.text(body, bodyLength),
        headers: unpair(memory.read(headers, headersLength)),
        grpcStatus: grpcStatus | 0,
      });
      return OK;
    },
  };
  const wasi = {
    random_get: (at: number, length: number) => {
      for (let i = 0; i < length; i++) memory.view.setUint8(at + i, Number(process.entropy() & 0xffn));
      return 0;
    },
    clock_time_get: (_id: number, _precision: bigint, at: number) => {
      memory.u64(at, process.look());
      return 0;
    },
  };
  const log_execution = (place: number): void => process.reached(place);
  return { env: { ...counted(vm, env), log_execution }, wasi_snapshot_preview1: counted(vm, wasi) };
}

/** Counts the calls of each. */
function counted<Functions extends Record<string, (...args: never[]) => number>>(
  { counts }: Vm,
  functions: Functions,
): Record<string, (...args: never[]) => number> {
  return Object.fromEntries(
    Object.entries(functions).map(([name, run]) => [
      name,
      (...args: never[]) => {
        counts.set(name, (counts.get(name) ?? 0) + 1);
        return run(...args);
      },
    ]),
  );
}
