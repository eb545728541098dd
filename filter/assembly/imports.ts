/** Functions of the host that the SDK doesn't declare. All return 0 when they succeed. */

/** WASI preview 1. */
@external("wasi_snapshot_preview1", "random_get")
export declare function random_get(buffer: usize, length: usize): u32;

/** WASI preview 1. Clock 0 is the wall clock, 1 the monotonic one, where older hosts answer 58 (not supported). Nanoseconds. */
@external("wasi_snapshot_preview1", "clock_time_get")
export declare function clock_time_get(id: u32, precision: u64, time: usize): u32;

/** proxy-Wasm 0.2.1. The SDK's declaration of it (`proxy_set_buffer_status`) is bound to another function. */
@external("env", "proxy_set_buffer_bytes")
export declare function proxy_set_buffer_bytes(type: i32, start: u32, length: u32, data: usize, size: u32): u32;
