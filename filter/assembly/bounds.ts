/** The block that is being checked. */
export let base: usize = 0;
export let size: u32 = 0;

export function setBounds(block: usize, length: u32): void {
  base = block;
  size = length;
}

/** Whether `count` records of `each` bytes at `offset` lie inside the block. */
export function inside(offset: u32, count: u32, each: u32): bool {
  return <u64>offset + <u64>count * <u64>each <= <u64>size;
}
