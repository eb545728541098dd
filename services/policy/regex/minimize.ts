import type { Automaton } from './determinize.ts';

/**
 * The smallest automaton that accepts the same texts (Hopcroft: An n log n algorithm for minimizing states in a finite
 * automaton, 1971), with the fewest classes of bytes. State 0 leads nowhere.
 */
export function minimize(automaton: Automaton): Automaton {
  const groups = partition(automaton);
  return merged(automaton, groups);
}

/** @returns per state its group; states of one group accept the same texts from there on */
function partition({ stateCount, classCount, next, accepting }: Automaton): Uint16Array {
  const sources = sourcesOf(stateCount, classCount, next);
  const groupOf = new Uint16Array(stateCount);
  const members: number[][] = [[], []];
  for (let state = 0; state < stateCount; state++) {
    const group = accepting[state] ?? 0;
    groupOf[state] = group;
    members[group]?.push(state);
  }
  const waiting = new Set<number>([0, 1]);
  for (const splitter of waiting) {
    waiting.delete(splitter);
    const targets = [...(members[splitter] ?? [])];
    for (let one = 0; one < classCount; one++) {
      const hit = new Map<number, Set<number>>();
      for (const target of targets) {
        for (const source of sources(target, one)) {
          const group = groupOf[source] ?? 0;
          const own = hit.get(group) ?? new Set();
          own.add(source);
          hit.set(group, own);
        }
      }
      for (const [group, inside] of hit) {
        const all = members[group] ?? [];
        if (inside.size === all.length) continue;
        const fresh = members.push([...inside]) - 1;
        members[group] = all.filter((state) => !inside.has(state));
        for (const state of inside) groupOf[state] = fresh;
        if (waiting.has(group)) waiting.add(fresh);
        else waiting.add((members[group]?.length ?? 0) < inside.size ? group : fresh);
      }
    }
  }
  return groupOf;
}

/** The states from which a class of bytes leads to a state, for all states and classes in two arrays. */
function sourcesOf(stateCount: number, classCount: number, next: Uint16Array): (state: number, one: number) => Uint16Array {
  const begins = new Uint32Array(stateCount * classCount + 1);
  for (let i = 0; i < next.length; i++) {
    const at = (next[i] ?? 0) * classCount + (i % classCount) + 1;
    begins[at] = (begins[at] ?? 0) + 1;
  }
  for (let i = 1; i < begins.length; i++) begins[i] = (begins[i] ?? 0) + (begins[i - 1] ?? 0);
  const filled = begins.slice();
  const all = new Uint16Array(next.length);
  for (let i = 0; i < next.length; i++) {
    const at = (next[i] ?? 0) * classCount + (i % classCount);
    const place = filled[at] ?? 0;
    all[place] = Math.floor(i / classCount);
    filled[at] = place + 1;
  }
  return (state, one) => all.subarray(begins[state * classCount + one], begins[state * classCount + one + 1]);
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
