import { countRule } from './tallies';
import { SKIPPED_WINDOW } from './tally-layout';

/**
 * Rules that a request met outside of their time. Which of them stand before the rule that decides, and so count as skipped, is known
 * only when that one is found.
 */
const MOST: u32 = 32;
const met: usize = memory.data(32 * 4, 4);
let count: u32 = 0;

export function beginClosed(): void {
  count = 0;
}

export function noteClosed(rule: usize): void {
  if (count == MOST) return;
  store<u32>(met + count * 4, <u32>rule);
  count++;
}

/** @param decided the rule that decides the request, or the end of all rules */
export function countClosed(decided: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const rule: usize = load<u32>(met + i * 4);
    if (rule < decided) countRule(rule, SKIPPED_WINDOW);
  }
}
