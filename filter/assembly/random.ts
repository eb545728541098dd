import { monotonicNs } from './clock';
import { random_get } from './imports';

let state: u64 = 0;
const seedAt: usize = memory.data(8, 8);

/** Seeds this VM's generator, once. */
export function seedRandom(): void {
  if (state != 0) return;
  store<u64>(seedAt, 0);
  if (random_get(seedAt, 8) == 0) state = load<u64>(seedAt);
  // Without entropy the clock has to do; the low bits differ from VM to VM.
  if (state == 0) state = monotonicNs() | 1;
}

/** 64 bits from SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). */
export function random64(): u64 {
  state += 0x9e3779b97f4a7c15;
  let z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/** A request's draw: 0 to 0xfffffffe, so that a threshold of all ones always wins. */
export function draw(): u32 {
  const bits = <u32>(random64() >> 32);
  return bits == 0xffffffff ? 0 : bits;
}
