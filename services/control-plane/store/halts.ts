import type { IKeyValue } from 'etcd3';
import { haltedBy } from './keys.ts';
import type { Actor, Origin } from './store.ts';

/** A halt: nothing is injected in what it halts until it is lifted. */
export interface Halt {
  /** Tells it from every other halt, at whichever replica it is. */
  readonly id: string;
  /** The namespace whose proxies are halted; null = everything. */
  readonly namespace: string | null;
  readonly by: Actor;
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** In the words of who halted; empty when nothing was said. */
  readonly reason: string;
}

/** The halt that is in force for what was to be halted and the revision at which it was seen; undefined when it was kept once and lifted since. */
export interface Kept {
  readonly halt: Halt | undefined;
  readonly revision: number;
}

/** What was lifted, undefined when nothing was halted; and the revision of that. */
export interface Lifted {
  readonly halt: Halt | undefined;
  readonly revision: number;
}

/** Where halts lie. Every method throws `StoreUnavailable` when the store doesn't answer in time. */
export interface HaltStore {
  /**
   * Keeps a halt, unless another one is in force there: the first one stays. May be tried again, by any replica, until it succeeds: a halt is
   * kept once, so a late try doesn't bring back what was lifted meanwhile.
   */
  keep(halt: Halt): Promise<Kept>;
  /** Lifts the halt of a namespace, or that of everything. */
  lift(namespace: string | null, origin: Origin): Promise<Lifted>;
}

/** Reads a halt. Whatever lies at its key halts, also what can't be read; undefined when the key is no halt's. */
export function readHalt(pair: IKeyValue): Halt | undefined {
  const namespace = haltedBy(pair.key.toString('utf8'));
  if (namespace === undefined) return undefined;
  const unknown = { id: '', namespace, by: { name: 'unknown', role: 'unknown' }, address: '', time: 0, reason: '' };
  try {
    return { ...unknown, ...(JSON.parse(pair.value.toString('utf8')) as Halt), namespace };
  } catch {
    return unknown;
  }
}
