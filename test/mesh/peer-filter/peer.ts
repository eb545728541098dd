import {
  proxy_call_foreign_function,
  proxy_get_buffer_bytes,
  proxy_get_header_map_value,
  proxy_set_property,
} from '@solo-io/proxy-runtime/assembly/imports';

/**
 * Stands in for Istio's metadata exchange: leaves a `google.protobuf.Struct` in the filter state of each request that has the header
 * `x-peer`. A plugin's own states are called `wasm.…`, so it can't be under Istio's name. Its configuration is the length of the state's
 * declaration (envoy `source/extensions/common/wasm/ext/declare_property.proto`), that declaration, and the Struct.
 */

const REQUEST_HEADERS: i32 = 0;
const PLUGIN_CONFIGURATION: i32 = 7;
const out: usize = memory.data(8, 4);
const given: usize = memory.data(4096, 16);
const names: usize = memory.data(64, 16);
let used: u32 = 0;
let structAt: usize = 0;
let structLength: u32 = 0;

function put(text: string): u32 {
  for (let i = 0, n = text.length; i < n; i++) store<u8>(names + i, <u8>text.charCodeAt(i));
  return text.length;
}

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(size: u32): usize {
  const at = given + used;
  used += (size + 7) & ~7;
  return at;
}

export function proxy_on_vm_start(_root: u32, _size: u32): u32 {
  return 1;
}

export function proxy_on_configure(_root: u32, size: u32): u32 {
  used = 0;
  proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, out, out + 4);
  const configuration: usize = load<u32>(out);
  const declared = load<u32>(configuration);
  structAt = configuration + 4 + declared;
  structLength = size - 4 - declared;
  return proxy_call_foreign_function(names, put('declare_property'), configuration + 4, declared, out, out + 4) === 0 ? 1 : 0;
}

export function proxy_on_context_create(_context: u32, _parent: u32): void {}

export function proxy_on_request_headers(_stream: u32, _count: u32, _endOfStream: u32): u32 {
  used = 2048;
  if (proxy_get_header_map_value(REQUEST_HEADERS, names, put('x-peer'), out, out + 4) !== 0) return 0;
  proxy_set_property(names, put('peer_state'), structAt, structLength);
  return 0;
}

/** Where the compiler sends failures; nothing here has any. */
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {}
