/**
 * Memory for what the host hands over and for scratch: a bump allocator that is emptied at each entry from the host. Nothing
 * taken from it outlives a callback.
 */

const FIRST_BYTES: u32 = 16 * 1024;

let start: usize = 0;
let capacity: u32 = 0;
let used: u32 = 0;

/** A place for the next allocation of just that size; 0 = none. */
let lent: usize = 0;
let lentSize: u32 = 0;

/** Makes the next allocation of `size` bytes get this place, so that what the host hands over lies at once where it is to stay. 0 takes it back. */
export function lendOnce(place: usize, size: u32): void {
  lent = place;
  lentSize = size;
}

/** Empties the arena. Called first in each exported callback that reads from the host, never in `proxy_on_memory_allocate`. */
export function resetArena(): void {
  used = 0;
  lent = 0;
}

/**
 * @param size in bytes
 * @returns an 8-aligned address, or 0 when the machine has no more memory
 */
export function arenaAllocate(size: u32): usize {
  if (lent != 0 && size == lentSize) {
    const place = lent;
    lent = 0;
    return place;
  }
  const aligned = (<u64>size + 7) & ~(<u64>7);
  if (<u64>used + aligned > <u64>capacity && !grow(aligned)) return 0;
  const at = start + used;
  used += <u32>aligned;
  return at;
}

// What was handed out before stays where it is: the new space is another one.
function grow(needed: u64): bool {
  let size: u64 = max<u64>(FIRST_BYTES, <u64>capacity * 2);
  while (size < needed) size *= 2;
  const fresh = reserve(size);
  if (fresh == 0) return false;
  start = fresh;
  capacity = <u32>size;
  used = 0;
  return true;
}

/**
 * Takes memory for good: for buffers that live as long as the VM.
 *
 * @param size in bytes
 * @returns a 16-aligned address, or 0 when there is none. (`heap.alloc` of the stub runtime traps instead.)
 */
export function reserve(size: u64): usize {
  const from = ((top == 0 ? <u64>__heap_base : top) + 15) & ~(<u64>15);
  const to = from + size;
  const have = (<u64>memory.size()) << 16;
  if (to > 0xffff0000) return 0;
  if (to > have && memory.grow(<i32>((to - have + 0xffff) >> 16)) < 0) return 0;
  top = to;
  return <usize>from;
}

/** The end of what was taken for good; 0 before the first. */
let top: u64 = 0;
