import { CHECKSUM_FROM, HEADER_BUDGET, HEADER_CHECKSUM, HEADER_FLAGS, RULESET_HALTED } from '../../../filter/assembly/layout.ts';
import { adler32 } from './block.ts';

/** What a ruleset says beside its rules. */
export interface Marks {
  /** Nothing is to be injected. */
  readonly halted: boolean;
  /** How many injections a proxy may do in a second; 0 = any. */
  readonly budget: number;
}

/** A copy of a ruleset's bytes with these marks. Nothing is compiled for it. */
export function markedBytes(bytes: Uint8Array, { halted, budget }: Marks): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  view.setUint32(HEADER_FLAGS, halted ? RULESET_HALTED : 0, true);
  view.setFloat32(HEADER_BUDGET, budget, true);
  view.setUint32(HEADER_CHECKSUM, adler32(copy.subarray(CHECKSUM_FROM)), true);
  return copy;
}
