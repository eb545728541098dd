import { random64 } from './random';

/**
 * Draws of which each run of 256 has one in every 256th of the range, in an order of its own: so few as some thousand delays have the
 * percentiles that were asked for, where independent draws miss them by their own chance (stratified sampling).
 */
const STRATA: u32 = 256;

let drawn: u32 = STRATA;
/** Odd, so that its multiples meet every stratum once. */
let step: u32 = 1;
let first: u32 = 0;

/** @returns 0 to 0xffffffff */
export function drawStratified(): u32 {
  const bits = random64();
  if (drawn == STRATA) {
    drawn = 0;
    step = <u32>(bits >> 40) | 1;
    first = <u32>(bits >> 32);
  }
  const stratum = (first + step * drawn++) & (STRATA - 1);
  return (stratum << 24) | (<u32>bits & 0xffffff);
}
