import { AUTOMATON_ACCEPTING, AUTOMATON_CLASS_COUNT, AUTOMATON_CLASSES, AUTOMATON_NEXT, AUTOMATON_START } from './layout';

/**
 * Runs a regular expression's automaton over a whole value: one step a byte, whatever the expression.
 *
 * @param block the ruleset, for the automaton's offsets
 */
export function accepts(block: usize, automaton: usize, value: usize, length: u32): bool {
  const classes = automaton + AUTOMATON_CLASSES;
  const next = block + load<u32>(automaton + AUTOMATON_NEXT);
  const classCount = load<u32>(automaton + AUTOMATON_CLASS_COUNT);
  const end = value + length;
  let state = load<u32>(automaton + AUTOMATON_START);
  for (let at = value; at < end; at++) {
    state = load<u16>(next + ((state * classCount + load<u8>(classes + load<u8>(at))) << 1));
    if (state == 0) return false;
  }
  return load<u8>(block + load<u32>(automaton + AUTOMATON_ACCEPTING) + state) != 0;
}
