import { RAMP_BEGIN, RAMP_FROM, RAMP_OVER, RAMP_TO } from '../../../filter/assembly/layout.ts';
import { parseDuration } from '../../policy/duration.ts';
import type { Block } from './block.ts';

/** A number that changes in a straight line with time. */
export interface Ramp {
  readonly from: number;
  readonly to: number;
  readonly over: string;
}

/** Writes a ramp where space was taken for it. @param begin milliseconds since the epoch */
export function writeRamp(block: Block, at: number, { from, to, over }: Ramp, begin: number): void {
  block.f64(at + RAMP_BEGIN, begin);
  block.f64(at + RAMP_OVER, parseDuration(over) ?? 0);
  block.u32(at + RAMP_FROM, from);
  block.u32(at + RAMP_TO, to);
}
