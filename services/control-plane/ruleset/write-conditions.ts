import * as layout from '../../../filter/assembly/layout.ts';
import type { Dfa } from '../../policy/regex/compile-regex.ts';
import type { Block } from './block.ts';
import type { Condition, FieldKey } from './condition.ts';

/** Writes conditions, and each automaton once. */
export class ConditionWriter {
  readonly #block: Block;
  readonly #indexOf: (field: FieldKey) => number;
  readonly #automata = new Map<string, { readonly offset: number; readonly place: number }>();

  /** @param indexOf a field's place in the table */
  constructor(block: Block, indexOf: (field: FieldKey) => number) {
    this.#block = block;
    this.#indexOf = indexOf;
  }

  /** @returns the offset of the records, which lie side by side */
  write(conditions: readonly Condition[]): number {
    const start = this.#block.take(conditions.length * layout.CONDITION_BYTES);
    conditions.forEach((condition, i) => {
      const at = start + i * layout.CONDITION_BYTES;
      const value = this.#value(condition);
      this.#block.u32(at + layout.CONDITION_FIELD, this.#indexOf(condition.field));
      this.#block.u32(at + layout.CONDITION_OPERATION, condition.operation);
      this.#block.u32(at + layout.CONDITION_VALUE, value.offset);
      this.#block.u32(at + layout.CONDITION_VALUE_LENGTH, value.length);
    });
    return start;
  }

  /** @returns the offset of the list of the automata that were written */
  finish(): number {
    return this.#block.list([...this.#automata.values()].map(({ offset }) => offset));
  }

  #value({ value, groups, automaton }: Condition): { offset: number; length: number } {
    if (groups !== undefined) return { offset: this.#groups(groups), length: groups.length };
    if (automaton === undefined) return this.#block.text(value);
    const known = this.#automata.get(value) ?? { offset: this.#automaton(automaton), place: this.#automata.size };
    this.#automata.set(value, known);
    return { offset: known.offset, length: known.place };
  }

  #groups(groups: readonly (readonly Condition[])[]): number {
    const start = this.#block.take(groups.length * layout.GROUP_BYTES);
    groups.forEach((conditions, i) => {
      const at = start + i * layout.GROUP_BYTES;
      this.#block.u32(at + layout.GROUP_CONDITIONS, this.write(conditions));
      this.#block.u32(at + layout.GROUP_CONDITION_COUNT, conditions.length);
    });
    return start;
  }

  #automaton({ classes, classCount, stateCount, start, next, accepting }: Dfa): number {
    const at = this.#block.take(layout.AUTOMATON_BYTES);
    this.#block.u32(at + layout.AUTOMATON_CLASS_COUNT, classCount);
    this.#block.u32(at + layout.AUTOMATON_STATE_COUNT, stateCount);
    this.#block.u32(at + layout.AUTOMATON_START, start);
    this.#block.u32(at + layout.AUTOMATON_NEXT, this.#block.halves(next.subarray(0, stateCount * classCount)));
    this.#block.u32(at + layout.AUTOMATON_ACCEPTING, this.#block.place(accepting.subarray(0, stateCount)));
    this.#block.bytes(at + layout.AUTOMATON_CLASSES, classes);
    return at;
  }
}
