import { CHECKSUM_FROM, HEADER_CHECKSUM, HEADER_FLAGS, RULESET_HALTED } from '../../../filter/assembly/layout.ts';
import { adler32 } from './block.ts';

/** A copy of a ruleset's bytes that says that nothing is to be injected. Nothing is compiled for it. */
export function haltedBytes(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  view.setUint32(HEADER_FLAGS, view.getUint32(HEADER_FLAGS, true) | RULESET_HALTED, true);
  view.setUint32(HEADER_CHECKSUM, adler32(copy.subarray(CHECKSUM_FROM)), true);
  return copy;
}
