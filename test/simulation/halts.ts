import type { Event } from './etcd-model.ts';

const HALTS = '/hfi/halt/';
const EVERYTHING = `${HALTS}all`;
const NAMESPACE = `${HALTS}ns/`;
/** How long a resume that was sent may be under way. */
const RESUMING_MS = 30_000;

/** A halt as etcd has, or had it. */
export interface KeptHalt {
  /** Null = everything. */
  readonly namespace: string | null;
  readonly revision: number;
  /** The simulation's time of its commit. */
  readonly at: number;
  over: { readonly revision: number; readonly at: number } | undefined;
}

/** A halt to which a replica said yes. */
export interface AcknowledgedHalt {
  readonly namespace: string | null;
  /** The start of the replica. */
  readonly by: string;
  readonly at: number;
}

/** What was halted and resumed, as etcd has it, and as replicas acknowledged it. */
export class HaltHistory {
  /** How many were sent. */
  asked = 0;
  readonly kept: KeptHalt[] = [];
  readonly acknowledged: AcknowledgedHalt[] = [];
  readonly #resumes: { readonly namespace: string | null; readonly at: number }[] = [];

  readonly #ids = new Set<string>();

  /** Notes a resume before it is sent. */
  expectResume(namespace: string | null, at: number): void {
    this.#resumes.push({ namespace, at });
  }

  /** Whether somebody wanted to resume, at `since` or later or so shortly before that it may have been under way. */
  resumedSince(namespace: string | null, since: number): boolean {
    return this.#resumes.some((resume) => resume.namespace === namespace && resume.at > since - RESUMING_MS);
  }

  /** What etcd has now. */
  inForce(): KeptHalt[] {
    return this.kept.filter(({ over }) => over === undefined);
  }

  /** Takes a change of etcd. @throws Error when a halt goes and nobody resumed */
  take({ revision, type, kv }: Event, at: number): void {
    const key = kv.key.toString();
    if (!key.startsWith(HALTS)) return;
    const namespace = key === EVERYTHING ? null : key.slice(NAMESPACE.length);
    const before = this.inForce().find((halt) => halt.namespace === namespace);
    if (type === 'DELETE' && before !== undefined && !this.resumedSince(namespace, at)) {
      throw new Error(`the halt of ${namespace ?? 'everything'} went from etcd, and nobody resumed`);
    }
    if (before !== undefined) before.over = { revision, at };
    if (type === 'PUT') this.#judgeId(kv.value.toString());
    if (type === 'PUT') this.kept.push({ namespace, revision, at, over: undefined });
  }

  /** A halt is kept once: what was resumed does not come back by a late try. */
  #judgeId(value: string): void {
    const { id } = JSON.parse(value) as { id: string };
    if (this.#ids.has(id)) throw new Error(`the halt ${id} is kept a second time`);
    this.#ids.add(id);
  }
}

/** Whether a halt is about a namespace's proxies. */
export function halts({ namespace }: { readonly namespace: string | null }, of: string): boolean {
  return namespace === null || namespace === of;
}
