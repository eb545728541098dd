import { proxy_get_header_map_pairs } from '@solo-io/proxy-runtime/assembly/imports';

/** The floor of a filter that looks at headers: it reads them all in one host call, and then does nothing with them. */

const REQUEST_HEADERS: i32 = 0;
const out: usize = memory.data(8, 4);
/** More than the benchmark's requests have in headers. */
const headers: usize = memory.data(16384, 16);

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(_size: u32): usize {
  return headers;
}

export function proxy_on_vm_start(_root: u32, _size: u32): u32 {
  return 1;
}

export function proxy_on_configure(_root: u32, _size: u32): u32 {
  return 1;
}

export function proxy_on_context_create(_context: u32, _parent: u32): void {}

export function proxy_on_request_headers(_stream: u32, _count: u32, _endOfStream: u32): u32 {
  proxy_get_header_map_pairs(REQUEST_HEADERS, out, out + 4);
  return 0;
}

/** Where the compiler sends failures; nothing here has any. */
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {}
