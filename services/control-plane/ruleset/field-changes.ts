import * as layout from '../../../filter/assembly/layout.ts';
import type { Block } from './block.ts';

/** A header, trailer or query parameter that a rule sets, adds or removes. */
export interface FieldChange {
  readonly operation: number;
  readonly name: string;
  readonly value: string;
}

/** @param offsetAt where the offset of the list goes @param countAt where its length goes */
export function writeFields(block: Block, offsetAt: number, countAt: number, fields: readonly FieldChange[]): void {
  const start = block.take(fields.length * layout.FIELD_CHANGE_BYTES);
  fields.forEach(({ operation, name, value }, i) => {
    const at = start + i * layout.FIELD_CHANGE_BYTES;
    const nameText = block.text(name);
    const valueText = block.text(value);
    block.u32(at + layout.FIELD_CHANGE_OPERATION, operation);
    block.u32(at + layout.FIELD_CHANGE_NAME, nameText.offset);
    block.u32(at + layout.FIELD_CHANGE_NAME_LENGTH, nameText.length);
    block.u32(at + layout.FIELD_CHANGE_VALUE, valueText.offset);
    block.u32(at + layout.FIELD_CHANGE_VALUE_LENGTH, valueText.length);
  });
  block.u32(offsetAt, start);
  block.u32(countAt, fields.length);
}
