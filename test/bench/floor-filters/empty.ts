/** The floor of any proxy-Wasm filter: it has the callbacks of a request and does nothing in them. */

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

/** Where the compiler sends failures; nothing here has any. */
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {}
