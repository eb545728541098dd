import { MAX_RULESET_BYTES } from '../../../filter/assembly/layout.ts';
import { ruleEnd } from '../../policy/end.ts';
import { type Identity, selects } from '../../policy/selector.ts';
import { type Applied, compileRuleset, rulesetVersion } from '../ruleset/compile.ts';
import { type Marks, markedBytes } from '../ruleset/marks.ts';
import type { StoredPolicy } from '../store/store.ts';
import { isFor } from './choices.ts';

/** The bytes that proxies run, with their version. */
export interface Ruleset {
  readonly bytes: Uint8Array;
  readonly version: string;
  /** The policies in it, by name. */
  readonly policies: readonly string[];
  /** Nothing in it is done. */
  readonly halted: boolean;
}

const marked = new WeakMap<Ruleset, Map<string, Ruleset>>();
/** Budgets come and go; halts are two. */
const MOST_KEPT = 8;

/** The same ruleset with marks. Made once for all who share it. */
export function markedRuleset(ruleset: Ruleset, marks: Marks): Ruleset {
  if (!marks.halted && marks.budget === 0) return ruleset;
  const kept = marked.get(ruleset) ?? new Map<string, Ruleset>();
  marked.set(ruleset, kept);
  const key = `${marks.halted} ${marks.budget}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  if (kept.size >= MOST_KEPT) kept.clear();
  const bytes = markedBytes(ruleset.bytes, marks);
  const made = { ...ruleset, bytes, version: rulesetVersion(bytes), halted: marks.halted };
  kept.set(key, made);
  return made;
}

/** What a proxy may get of a policy; undefined for nothing. */
export type CompilerGuard = <P extends Applied>(entry: P, identity: Identity) => (P & Applied) | undefined;

/** All proxies of one identity that the same policies chose: they run the same ruleset. */
export class Group {
  readonly key: string;
  readonly identity: Identity;
  /** The policies that chose its proxies among all that they select, with spaces between them. */
  readonly choice: string;
  /** Names of the proxies in it; a group without any is forgotten. */
  readonly proxies = new Set<string>();
  /** What the policies say. */
  compiled: Ruleset;
  /** What they should run: that, with what else holds for them. */
  ruleset: Ruleset;

  constructor({ key, identity, choice, compiled, ruleset }: Omit<Group, 'proxies'>) {
    this.key = key;
    this.identity = identity;
    this.choice = choice;
    this.compiled = compiled;
    this.ruleset = ruleset;
  }
}

/**
 * Compiles rulesets, each set of policies once: whoever is selected by the same policies shares the bytes. A ruleset that no
 * group holds any longer is left to the garbage collector.
 */
export class Compiler {
  readonly #shared = new Map<string, WeakRef<Ruleset>>();
  readonly #measure: (milliseconds: number) => void;
  readonly #leftOut: (policies: readonly string[]) => void;
  readonly #over: (stored: StoredPolicy) => ReadonlySet<number>;
  readonly #guard: CompilerGuard;

  /**
   * @param leftOut told which policies a ruleset had no room for
   * @param over says which rules of a policy are over before their ends
   * @param guard what a proxy may get of a policy; undefined for nothing
   */
  constructor(
    measure: (milliseconds: number) => void,
    leftOut: (policies: readonly string[]) => void = () => {},
    over: (stored: StoredPolicy) => ReadonlySet<number> = () => new Set(),
    guard: CompilerGuard = (entry) => entry,
  ) {
    this.#measure = measure;
    this.#leftOut = leftOut;
    this.#over = over;
    this.#guard = guard;
  }

  /**
   * The ruleset of the policies that select `identity`; those that ended by `now` are left out.
   *
   * @param choice the policies that chose the proxies among all that they select, with spaces between them
   */
  compile(policies: Iterable<StoredPolicy>, identity: Identity, now: number, choice = ''): Ruleset {
    const live = [...policies].flatMap((stored) => {
      if (!selects(stored.policy.spec.selector, identity) || !isFor(stored, choice)) return [];
      const known = { ...stored, over: this.#over(stored) };
      return liveRules(known, now) > 0 ? (this.#guard(known, identity) ?? []) : [];
    });
    live.sort((a, b) => (a.policy.metadata.name < b.policy.metadata.name ? -1 : 1));
    const parts = live.map((stored) => `${stored.policy.metadata.name}@${stored.revision}:${liveRules(stored, now)}:${[...stored.over]}`);
    const key = `${parts.join(' ')}${neverKey(live)}`;
    const known = this.#shared.get(key)?.deref();
    if (known !== undefined) return known;
    const start = performance.now();
    const { bytes, taken } = this.#fitting(live, now);
    const ruleset = { bytes, version: rulesetVersion(bytes), policies: taken.map((stored) => stored.policy.metadata.name), halted: false };
    this.#measure(performance.now() - start);
    this.#shared.set(key, new WeakRef(ruleset));
    if (this.#shared.size > 1000) this.#sweep();
    return ruleset;
  }

  /**
   * All policies if a filter takes so many bytes, else those that come first in the order of decision and do fit: an oversized ruleset would be
   * refused, and the one before would stay in force with all that was deleted since.
   */
  #fitting(live: readonly Applied[], now: number): { bytes: Uint8Array; taken: readonly Applied[] } {
    const whole = compileRuleset(live, now);
    if (whole.length <= MAX_RULESET_BYTES) return { bytes: whole, taken: live };
    const first = [...live].sort((a, b) => b.policy.spec.priority - a.policy.spec.priority);
    let fits = { bytes: compileRuleset([], now), taken: [] as readonly Applied[] };
    for (let low = 0, high = live.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      const taken = first.slice(0, middle);
      const bytes = compileRuleset(taken, now);
      if (bytes.length <= MAX_RULESET_BYTES) [low, fits] = [middle, { bytes, taken }];
      else high = middle;
    }
    this.#leftOut(first.slice(fits.taken.length).map((stored) => stored.policy.metadata.name));
    return fits;
  }

  /** How long the ruleset of `identity` would be without leaving anything out, in bytes. */
  fullLength(policies: Iterable<Applied>, identity: Identity, now: number): number {
    const entries = [...policies].filter(({ policy }) => selects(policy.spec.selector, identity));
    return compileRuleset(
      entries.flatMap((entry) => this.#guard(entry, identity) ?? []),
      now,
    ).length;
  }

  #sweep(): void {
    for (const [key, ref] of this.#shared) if (ref.deref() === undefined) this.#shared.delete(key);
  }
}

/** Forbidden paths go by the namespace, so the same policies can make different bytes. */
function neverKey(live: readonly Applied[]): string {
  const { never } = live.find((entry) => entry.never !== undefined) ?? {};
  return never === undefined ? '' : JSON.stringify(never);
}

/**
 * How many rules of a policy haven't ended; none of one whose end is written. Rules only ever end, so for one revision the number says which,
 * beside those that are over before.
 */
function liveRules({ policy, appliedAt, ended, over }: Partial<Pick<StoredPolicy, 'ended'>> & Applied, now: number): number {
  if (ended !== undefined) return 0;
  let live = 0;
  policy.spec.rules.forEach((rule, i) => {
    const end = ruleEnd(rule, appliedAt);
    if ((end === 0 || end > now) && over?.has(i) !== true) live++;
  });
  return live;
}

/** Whether some rule of a policy never ends. */
export function hasNoEnd(stored: StoredPolicy): boolean {
  return stored.policy.spec.rules.some((rule) => ruleEnd(rule, stored.appliedAt) === 0);
}

/** When the next of a policy's rules ends, in milliseconds since the epoch; undefined when none will. */
export function nextEnd(stored: StoredPolicy, now: number): number | undefined {
  let next: number | undefined;
  for (const rule of stored.policy.spec.rules) {
    const end = ruleEnd(rule, stored.appliedAt);
    if (end > now && (next === undefined || end < next)) next = end;
  }
  return next;
}
