import type { Automaton } from './determinize.ts';

/**
 * The smallest automaton that accepts the same texts (Hopcroft: An n log n algorithm for minimizing states in a finite
 * automaton, 1971), with the fewest classes of bytes. State 0 leads nowhere.
 */
export function minimize(automaton: Automaton): Automaton {
  const groups = partition(automaton);
  return merged(automaton, groups);
}

/**
 * The states of each group lie side by side in one array, those that are marked in front (Valmari: Fast brief practical DFA minimization, 2012).
 *
 * @returns per state its group; states of one group accept the same texts from there on
 */
function partition({ stateCount, classCount, next, accepting }: Automaton): Uint16Array {
  const { begins, sources } = sourcesOf(stateCount, classCount, next);
  const order = Uint16Array.from({ length: stateCount }, (_, state) => state).sort((a, b) => (accepting[a] ?? 0) - (accepting[b] ?? 0));
  const place = new Uint16Array(stateCount);
  order.forEach((state, at) => {
    place[state] = at;
  });
  const groupOf = Uint16Array.from(accepting);
  // State 0 accepts nothing, so the first group is never empty; there are at most as many groups as states.
  const rejecting = order.findIndex((state) => accepting[state] === 1);
  const first = new Uint16Array(stateCount);
  const end = new Uint16Array(stateCount);
  const marked = new Uint16Array(stateCount);
  let groupCount = rejecting === -1 ? 1 : 2;
  end[0] = rejecting === -1 ? stateCount : rejecting;
  first[1] = end[0];
  end[1] = stateCount;

  const touched: number[] = [];
  const mark = (state: number): void => {
    const group = groupOf[state] ?? 0;
    const before = marked[group] ?? 0;
    const at = place[state] ?? 0;
    const to = (first[group] ?? 0) + before;
    if (at < to) return;
    const other = order[to] ?? 0;
    order[at] = other;
    order[to] = state;
    place[other] = at;
    place[state] = to;
    marked[group] = before + 1;
    if (before === 0) touched.push(group);
  };
  /** Makes the smaller part of a group another one, if only some of its states are marked. */
  const split = (group: number): void => {
    const from = first[group] ?? 0;
    const to = end[group] ?? 0;
    const middle = from + (marked[group] ?? 0);
    marked[group] = 0;
    if (middle === to) return;
    const fresh = groupCount++;
    if (middle - from <= to - middle) {
      first[fresh] = from;
      end[fresh] = middle;
      first[group] = middle;
    } else {
      first[fresh] = middle;
      end[fresh] = to;
      end[group] = middle;
    }
    for (let at = first[fresh] ?? 0; at < (end[fresh] ?? 0); at++) groupOf[order[at] ?? 0] = fresh;
  };

  // Every group has its turn once; of one that is divided later, the smaller part is a fresh one and has another.
  for (let splitter = 0; splitter < groupCount; splitter++) {
    const targets = order.slice(first[splitter], end[splitter]);
    for (let one = 0; one < classCount; one++) {
      for (const target of targets) {
        const way = target * classCount + one;
        for (let i = begins[way] ?? 0; i < (begins[way + 1] ?? 0); i++) mark(sources[i] ?? 0);
      }
      for (const group of touched) split(group);
      touched.length = 0;
    }
  }
  return groupOf;
}

/** The states from which a class of bytes leads to a state: `sources` from `begins[state * classCount + class]` on, up to where the next ones begin. */
function sourcesOf(stateCount: number, classCount: number, next: Uint16Array): { begins: Uint32Array; sources: Uint16Array } {
  const begins = new Uint32Array(stateCount * classCount + 1);
  for (let i = 0; i < next.length; i++) {
    const at = (next[i] ?? 0) * classCount + (i % classCount) + 1;
    begins[at] = (begins[at] ?? 0) + 1;
  }
  for (let i = 1; i < begins.length; i++) begins[i] = (begins[i] ?? 0) + (begins[i - 1] ?? 0);
  const filled = begins.slice();
  const sources = new Uint16Array(next.length);
  for (let i = 0; i < next.length; i++) {
    const at = (next[i] ?? 0) * classCount + (i % classCount);
    const place = filled[at] ?? 0;
    sources[place] = Math.floor(i / classCount);
    filled[at] = place + 1;
  }
  return { begins, sources };
}

function merged({ classes, classCount, stateCount, start, next, accepting }: Automaton, groupOf: Uint16Array): Automaton {
  // In the order of the first of each, the group of state 0 first.
  const numbers = new Map<number, number>();
  const firsts: number[] = [];
  for (let state = 0; state < stateCount; state++) {
    const group = groupOf[state] ?? 0;
    if (numbers.has(group)) continue;
    numbers.set(group, firsts.length);
    firsts.push(state);
  }
  const to = (state: number): number => numbers.get(groupOf[state] ?? 0) ?? 0;
  const columns = new Map<string, number>();
  const columnOf = Array.from({ length: classCount }, (_, one) => {
    const key = firsts.map((state) => to(next[state * classCount + one] ?? 0)).join(' ');
    const known = columns.get(key) ?? columns.size;
    columns.set(key, known);
    return known;
  });
  const rows = firsts.flatMap((state) => {
    const row: number[] = new Array(columns.size).fill(0);
    columnOf.forEach((column, one) => {
      row[column] = to(next[state * classCount + one] ?? 0);
    });
    return row;
  });
  return {
    classes: classes.map((one) => columnOf[one] ?? 0),
    classCount: columns.size,
    stateCount: firsts.length,
    start: to(start),
    next: Uint16Array.from(rows),
    accepting: Uint8Array.from(firsts, (state) => accepting[state] ?? 0),
  };
}
