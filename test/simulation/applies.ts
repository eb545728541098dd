import type { PolicyInput } from '../../services/policy/schema.ts';
import type { Dice } from '../fuzz/dice.ts';
import type { Event } from './etcd-model.ts';
import { HaltHistory } from './halts.ts';
import type { Workload } from './sidecar.ts';

/** Policies as the simulation applies them: each apply answers with a body of its own, so that an injection shows which apply it is of. */
export interface Apply {
  readonly name: string;
  readonly tag: string;
  readonly selector: Selector;
  readonly durationSeconds: number;
  readonly limit: number | { readonly fleet: number } | undefined;
  readonly percentage: number;
}

export interface Selector {
  readonly namespace?: string;
  readonly service?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What etcd has of a policy, or had. */
export interface Held {
  readonly revision: number;
  /** The simulation's time of its commit. */
  readonly at: number;
  /** When it was replaced or removed. */
  over: { readonly revision: number; readonly at: number } | undefined;
}

/** An apply as etcd has, or had it. */
export interface Committed extends Apply, Held {
  /** Milliseconds since the epoch, by the clock of the replica that took it. */
  readonly appliedAt: number;
}

export const NAMES = ['one', 'two', 'three', 'four'] as const;
export const NAMESPACES = ['demo', 'shop'] as const;
export const SERVICES = ['front', 'back'] as const;

/** Each policy is about a path of its own, so that which of them decides a request depends on nothing but itself. */
export function pathOf(name: string): string {
  return `/p/${name}`;
}

export function drawApply(dice: Dice, count: number): Apply {
  const name = dice.pick(NAMES);
  const labels = { version: dice.pick(['v1', 'v2']) };
  const selector: Selector = {
    ...(dice.oneIn(2) ? { namespace: dice.pick(NAMESPACES) } : {}),
    ...(dice.oneIn(2) ? { service: dice.pick(SERVICES) } : {}),
    ...(dice.oneIn(4) ? { labels } : {}),
  };
  return {
    name,
    tag: `${name}-${count}`,
    selector,
    durationSeconds: dice.oneIn(2) ? 0 : 2 + dice.below(40),
    limit: dice.pick([undefined, undefined, 1 + dice.below(20), { fleet: 1 + dice.below(12) }]),
    percentage: dice.oneIn(4) ? 50 : 100,
  };
}

export function specOf({ name, tag, selector, durationSeconds, limit, percentage }: Apply): PolicyInput['spec'] {
  return {
    selector,
    rules: [
      {
        match: { path: { exact: pathOf(name) }, ...(limit === undefined ? {} : { limit }) },
        fault: { percentage, duration_seconds: durationSeconds, abort: { httpStatus: 503, body: tag } },
      },
    ],
  };
}

/** Whether a selector names a workload. Not the product's own, which is judged by it. */
export function names({ namespace, service, labels = {} }: Selector, workload: Workload): boolean {
  if (namespace !== undefined && namespace !== workload.namespace) return false;
  if (service !== undefined && service !== workload.service) return false;
  return Object.entries(labels).every(([label, value]) => workload.labels[label] === value);
}

const POLICIES = '/hfi/policies/';
const COUNTS = '/hfi/counts/';
/** From the moment that a write is dated to its commit: a replica may stand still in between, or its clock jump. */
/** Applies of one policy in the same millisecond are dated one after the other. */
const MOST_AHEAD_MS = 20;
const LONGEST_WRITE_MS = 30_000;

/** What was written into etcd, whoever asked for it. */
export class History {
  readonly byTag = new Map<string, Committed>();
  /** All commits of a policy, oldest first. */
  readonly byName = new Map<string, Committed[]>();
  /** What is kept of policies that have ended, until they are applied again, deleted or swept. */
  readonly ended = new Map<string, Held[]>();
  /** What etcd has of the injections: by run (`<policy>/<when it was applied>`) and epoch. */
  readonly kept = new Map<string, number>();
  readonly halts = new HaltHistory();
  readonly #applies = new Map<string, Apply>();

  readonly #removals = new Map<string, number>();
  readonly #clocks: () => readonly number[];

  /** @param clocks what the replicas' clocks show, or would if they hadn't jumped, in milliseconds since the epoch */
  constructor(clocks: () => readonly number[]) {
    this.#clocks = clocks;
  }

  /** Notes a removal before it is sent: it allows one. */
  expectRemoval(name: string): void {
    this.#removals.set(name, (this.#removals.get(name) ?? 0) + 1);
  }

  /** A removal that was expected was refused. */
  refuseRemoval(name: string): void {
    this.#removals.set(name, Math.max(0, (this.#removals.get(name) ?? 0) - 1));
  }

  /** Notes an apply before it is sent. */
  expect(apply: Apply): void {
    this.#applies.set(apply.tag, apply);
  }

  /** All that etcd had under the name, policies in force and ended ones. */
  held(name: string): readonly Held[] {
    return [...(this.byName.get(name) ?? []), ...(this.ended.get(name) ?? [])];
  }

  current(name: string): Committed | undefined {
    const last = this.byName.get(name)?.at(-1);
    return last?.over === undefined ? last : undefined;
  }

  /** Takes a change of etcd. @throws Error when somebody wrote what nobody asked for */
  take({ revision, type, kv }: Event, at: number): void {
    const key = kv.key.toString();
    this.halts.take({ revision, type, kv }, at);
    if (key.startsWith(COUNTS) && type === 'PUT') this.#keep(key.slice(COUNTS.length), kv.value);
    if (!key.startsWith(POLICIES)) return;
    const name = key.slice(POLICIES.length);
    const before = this.current(name);
    const past = this.ended.get(name)?.at(-1);
    for (const held of [before, past]) if (held !== undefined) held.over ??= { revision, at };
    if (type === 'DELETE') {
      if (before !== undefined) this.#judgeRemoval(before, at);
      return;
    }
    const value = JSON.parse(kv.value.toString()) as {
      appliedAt: number;
      ended?: { reason: string };
      policy: { spec: { rules: { fault: { abort: { body: string } } }[] } };
    };
    const tag = value.policy.spec.rules[0]?.fault.abort.body ?? '';
    if (value.ended !== undefined) {
      if (before?.tag !== tag) throw new Error(`an end was written of ${tag}, which was not in force`);
      this.#judgeEnd(before, value.ended.reason);
      this.ended.set(name, [...(this.ended.get(name) ?? []), { revision, at, over: undefined }]);
      return;
    }
    const apply = this.#applies.get(tag);
    if (apply === undefined) throw new Error(`etcd has an apply that nobody sent: ${tag}`);
    if (!this.#clocks().some((now) => value.appliedAt <= now + MOST_AHEAD_MS && value.appliedAt > now - LONGEST_WRITE_MS)) {
      throw new Error(`${tag} says that it was applied at ${new Date(value.appliedAt).toISOString()}, which no clock showed lately`);
    }
    const { namespace } = apply.selector;
    const halted = this.halts.inForce().find((halt) => namespace === undefined || halt.namespace === null || halt.namespace === namespace);
    if (halted !== undefined) throw new Error(`${tag} was applied while ${halted.namespace ?? 'everything'} was halted`);
    const committed: Committed = { ...apply, revision, at, appliedAt: value.appliedAt, over: undefined };
    this.byTag.set(tag, committed);
    this.byName.set(name, [...(this.byName.get(name) ?? []), committed]);
  }

  /** What etcd kept of the injections of an apply by a process. */
  keptOf({ name, appliedAt }: Committed, epoch: string): number {
    return this.kept.get(`${name}/${appliedAt}/${epoch}`) ?? 0;
  }

  /** A policy goes because somebody wants it to, or is swept after its end. */
  #judgeRemoval({ name, tag, durationSeconds, at: since }: Committed, at: number): void {
    const allowed = this.#removals.get(name) ?? 0;
    if (allowed > 0) {
      this.#removals.set(name, allowed - 1);
      return;
    }
    const ended = durationSeconds > 0 && at >= since + durationSeconds * 1000;
    if (!ended) throw new Error(`${tag} went from etcd, and nobody asked for that`);
  }

  /** An end is written when the time is over, by the clock of a replica, which may have jumped. */
  #judgeEnd({ tag, durationSeconds, appliedAt }: Committed, reason: string): void {
    const over = durationSeconds > 0 && this.#clocks().some((now) => now >= appliedAt + durationSeconds * 1000);
    if (reason !== 'expired' || !over) throw new Error(`${tag} was ended as ${reason}, and nobody asked for that`);
  }

  #keep(key: string, value: Buffer): void {
    const [policy, appliedAt] = key.split('/');
    const { epochs } = JSON.parse(value.toString()) as { epochs: Record<string, Record<string, { injected?: number }>> };
    for (const [epoch, rules] of Object.entries(epochs)) this.kept.set(`${policy}/${appliedAt}/${epoch}`, rules['0']?.injected ?? 0);
  }
}
