import { END_OF_COUNTERS, FIRST_COUNTER } from './tally-layout';

/** Adds one record's counters to those of another. */
export function addTally(to: usize, from: usize): void {
  for (let counter = FIRST_COUNTER; counter < END_OF_COUNTERS; counter += 8) {
    store<u64>(to + counter, load<u64>(to + counter) + load<u64>(from + counter));
  }
}

export function clearTally(record: usize): void {
  memory.fill(record + FIRST_COUNTER, 0, END_OF_COUNTERS - FIRST_COUNTER);
}

/** All counters together: as each only grows, more of it means that one of them grew. */
export function totalOfTally(record: usize): u64 {
  let total: u64 = 0;
  for (let counter = FIRST_COUNTER; counter < END_OF_COUNTERS; counter += 8) total += load<u64>(record + counter);
  return total;
}
