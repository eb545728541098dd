/** The floor of a filter that can change bodies and answers, and learns when a request is over: it has the callbacks for that, and does nothing in any. */

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(_size: u32): u32 {
  return 0;
}

export function proxy_on_vm_start(_root: u32, _size: u32): u32 {
  return 1;
}

export function proxy_on_configure(_root: u32, _size: u32): u32 {
  return 1;
}

export function proxy_on_context_create(_context: u32, _parent: u32): void {}

export function proxy_on_request_headers(_stream: u32, _count: u32, _endOfStream: u32): u32 {
  return 0;
}

export function proxy_on_request_body(_stream: u32, _size: u32, _endOfStream: u32): u32 {
  return 0;
}

export function proxy_on_response_headers(_stream: u32, _count: u32, _endOfStream: u32): u32 {
  return 0;
}

export function proxy_on_response_body(_stream: u32, _size: u32, _endOfStream: u32): u32 {
  return 0;
}

export function proxy_on_response_trailers(_stream: u32, _count: u32): u32 {
  return 0;
}

export function proxy_on_delete(_context: u32): void {}

/** Where the compiler sends failures; nothing here has any. */
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {}
