import { requestHeaderAt, resultAt, resultLength } from './host';
import {
  DELAY_HEADER,
  DELAY_HEADER_LENGTH,
  DELAY_JITTER_MS,
  DELAY_MOST_MS,
  DELAY_QUANTILE_COUNT,
  DELAY_QUANTILES,
  DELAY_RAMP,
  DELAY_START_MS,
  QUANTILE_BYTES,
  QUANTILE_SHARE,
  QUANTILE_US,
} from './layout';
import { rampNow } from './ramp';
import { draw } from './random';
import { drawStratified } from './strata';
import { readNumber } from './text';

const NS_PER_US: i64 = 1000;
const US_PER_MS: i64 = 1000;

/**
 * Draws how long one request is held.
 *
 * @param action the action that the delay's offsets count from
 * @returns nanoseconds; 0 when the distribution has it
 */
export function drawDelay(action: usize, delay: usize): u64 {
  const count = load<u32>(delay + DELAY_QUANTILE_COUNT);
  let us: i64 = 0;
  if (count != 0) us = <i64>quantile(action + load<u32>(delay + DELAY_QUANTILES), count);
  else if (load<u32>(delay + DELAY_HEADER_LENGTH) != 0) us = <i64>askedMs(action, delay) * US_PER_MS;
  else us = <i64>rampNow(delay + DELAY_RAMP) * US_PER_MS;
  const jitter = load<u32>(delay + DELAY_JITTER_MS);
  if (jitter != 0) us += drawJitter(jitter);
  return <u64>((max<i64>(us, 0) + <i64>load<u32>(delay + DELAY_START_MS) * US_PER_MS) * NS_PER_US);
}

/** Draws how long a piece of a body is held for itself. @returns nanoseconds */
export function drawPiece(ms: u32, jitterMs: u32): u64 {
  const us = <i64>ms * US_PER_MS + (jitterMs == 0 ? 0 : drawJitter(jitterMs));
  return <u64>(max<i64>(us, 0) * NS_PER_US);
}

/** @param most in milliseconds, at most an hour @returns microseconds, from as many less than nothing to as many more */
function drawJitter(most: u32): i64 {
  const us = <u64>most * <u64>US_PER_MS;
  // The product needs all 64 bits.
  return <i64>((<u64>draw() * us) >> 31) - <i64>us;
}

/** What the request whose head is there asks for, as far as the rule lets it. */
function askedMs(action: usize, delay: usize): u32 {
  if (!requestHeaderAt(action + load<u32>(delay + DELAY_HEADER), load<u32>(delay + DELAY_HEADER_LENGTH))) return 0;
  return <u32>min<u64>(readNumber(resultAt, resultLength), load<u32>(delay + DELAY_MOST_MS));
}

/** A length drawn from a table of quantiles, in a straight line between two of them, in microseconds. */
function quantile(table: usize, count: u32): u32 {
  if (count == 1) return load<u32>(table + QUANTILE_US);
  const drawn = drawStratified();
  let low: u32 = 0;
  let high = count - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (load<u32>(table + middle * QUANTILE_BYTES + QUANTILE_SHARE) <= drawn) low = middle;
    else high = middle;
  }
  const left = table + low * QUANTILE_BYTES;
  const right = table + high * QUANTILE_BYTES;
  const from = load<u32>(left + QUANTILE_SHARE);
  const wide = load<u32>(right + QUANTILE_SHARE) - from;
  const least = load<u32>(left + QUANTILE_US);
  const more = load<u32>(right + QUANTILE_US) - least;
  if (wide == 0) return least + more;
  const along = min<u32>(drawn < from ? 0 : drawn - from, wide);
  return least + <u32>((<u64>more * <u64>along) / <u64>wide);
}
