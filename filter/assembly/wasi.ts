/** The two functions of WASI preview 1 that the filter uses; the SDK doesn't declare them. Both return 0 when they succeed. */

@external("wasi_snapshot_preview1", "random_get")
export declare function random_get(buffer: usize, length: usize): u32;

/** Clock 0 is the wall clock, 1 the monotonic one, where older hosts answer 58 (not supported). Nanoseconds. */
@external("wasi_snapshot_preview1", "clock_time_get")
export declare function clock_time_get(id: u32, precision: u64, time: usize): u32;
