import { proxy_get_header_map_pairs } from '@solo-io/proxy-runtime/assembly/imports';

/** The floor of a filter that can change anything and looks at headers: every callback, and all headers read in one host call. */

export {
  proxy_abi_version_0_2_1,
  proxy_on_configure,
  proxy_on_context_create,
  proxy_on_delete,
  proxy_on_request_body,
  proxy_on_response_body,
  proxy_on_response_headers,
  proxy_on_response_trailers,
  proxy_on_vm_start,
} from './every-callback';

const REQUEST_HEADERS: i32 = 0;
const out: usize = memory.data(8, 4);
/** More than the benchmark's requests have in headers. */
const headers: usize = memory.data(16384, 16);

export function proxy_on_memory_allocate(_size: u32): usize {
  return headers;
}

export function proxy_on_request_headers(_stream: u32, _count: u32, _endOfStream: u32): u32 {
  proxy_get_header_map_pairs(REQUEST_HEADERS, out, out + 4);
  return 0;
}

/** Where the compiler sends failures; nothing here has any. */
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {}
