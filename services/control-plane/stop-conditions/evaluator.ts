import { type End, phaseAt } from '../../policy/lifecycle.ts';
import { type QueryCondition, queryConditions } from '../../policy/stop-when.ts';
import type { Cancel, Runtime } from '../runtime.ts';
import type { StopMark, StopStore } from '../store/stop-store.ts';
import type { Change, StoredPolicy } from '../store/store.ts';
import { judge, type Verdict } from './answer.ts';
import type { Prometheus } from './prometheus.ts';
import { dueAt, endBy, ends, evaluated, takenOver, unwatched, type Watched } from './watched.ts';

export interface EvaluatorOptions {
  readonly prometheus: Prometheus;
  readonly store: Pick<StopStore, 'marks' | 'mark'>;
  readonly runtime: Runtime;
  /** Between two evaluations, in milliseconds. */
  readonly intervalMs: number;
  /** The policy as it is now: renewals of its owner's lease are no changes. */
  readonly current: (policy: string) => StoredPolicy | undefined;
  /** A condition has held for long enough. Told once for each run. */
  readonly stopped: (stored: StoredPolicy, end: End) => void;
  /** Told what came of each evaluation. */
  readonly judged?: (verdict: Verdict['kind']) => void;
  readonly note: (what: string, details: Record<string, unknown>) => void;
}

/** A run that goes on and has queries. */
interface Run {
  readonly stored: StoredPolicy;
  readonly conditions: Watched[];
  /** When each condition is looked at besides: as soon as it has held for long enough. */
  readonly due: Cancel[];
  /** It is ended, and that is told. */
  told: boolean;
  /** What the store is known to have of it; undefined = not known. */
  marked: string | undefined;
  marking: boolean;
}

/** Asks Prometheus for the stop conditions of the policies that are active, and says which runs are to end. Runs while this replica is to. */
export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #runs = new Map<string, Run>();
  /** Queries under way: one that several conditions have is asked once at a time. */
  readonly #asking = new Map<string, Promise<{ readonly asked: number; readonly answer: Awaited<ReturnType<Prometheus['ask']>> }>>();
  #running = false;
  /** Whether what the one before knew is taken over. Until then nothing is written in its place. */
  #takingOver: 'to do' | 'under way' | 'done' = 'to do';
  #nextAt = 0;
  #cancel: Cancel = () => undefined;

  constructor(options: EvaluatorOptions) {
    this.#options = options;
  }

  /** Whether any run has a condition to ask for. */
  get needed(): boolean {
    return [...this.#runs.values()].some(({ told }) => !told);
  }

  /** How the conditions of a policy stand; empty when this replica doesn't evaluate them. */
  standing(policy: string): readonly Watched[] {
    return this.#running ? (this.#runs.get(policy)?.conditions ?? []) : [];
  }

  /** Whether it ended this run, be that written or not. */
  hasStopped({ policy, appliedAt }: StoredPolicy): boolean {
    const run = this.#runs.get(policy.metadata.name);
    return run?.told === true && run.stored.appliedAt === appliedAt;
  }

  change(changes: readonly Change[]): void {
    for (const { name, after } of changes) {
      const known = this.#runs.get(name);
      if (known !== undefined && known.stored.appliedAt === after?.appliedAt && after.ended === undefined) continue;
      if (known !== undefined) this.#drop(name, known);
      const conditions = after === undefined || after.ended !== undefined ? [] : queryConditions(after.policy.spec.stopWhen);
      if (after === undefined || conditions.length === 0) continue;
      const run = { stored: after, conditions: conditions.map(unwatched), due: [], told: false, marked: undefined, marking: false };
      this.#runs.set(name, run);
      if (this.#running) this.#evaluate(run);
    }
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#takingOver = 'to do';
    this.#nextAt = this.#options.runtime.clock.elapsed();
    this.#tick();
  }

  /** Another one goes on: what is known here is worth nothing soon. Runs that were ended stay so. */
  stop(): void {
    this.#running = false;
    this.#cancel();
    for (const run of this.#runs.values()) {
      for (const cancel of run.due) cancel();
      run.conditions.splice(0, Number.POSITIVE_INFINITY, ...run.conditions.map(({ condition }) => unwatched(condition)));
      run.marked = undefined;
    }
  }

  #tick(): void {
    const { runtime, intervalMs } = this.#options;
    if (!this.#running) return;
    if (this.#takingOver === 'to do') void this.#takeOver();
    for (const run of this.#runs.values()) this.#evaluate(run);
    // By fixed steps, so that the time that an answer takes makes no evaluation later.
    const now = runtime.clock.elapsed();
    while (this.#nextAt <= now) this.#nextAt += intervalMs;
    this.#cancel = runtime.timers.after(this.#nextAt - now, () => this.#tick());
  }

  async #takeOver(): Promise<void> {
    const { store, runtime, note } = this.#options;
    this.#takingOver = 'under way';
    try {
      const marks = await store.marks();
      if (!this.#running) return;
      const [now, elapsed] = [runtime.clock.now(), runtime.clock.elapsed()];
      for (const mark of marks) {
        const run = this.#runs.get(mark.policy);
        if (run === undefined || run.stored.appliedAt !== mark.appliedAt) {
          await store.mark({ ...mark, since: {} });
          continue;
        }
        for (const [i, watched] of run.conditions.entries()) {
          const since = mark.since[watched.condition.index];
          // The clocks of two replicas differ: nothing is older than what it takes, nor of the future.
          const age = since === undefined ? undefined : Math.min(Math.max(0, now - since), watched.condition.forMs);
          if (age !== undefined) run.conditions[i] = takenOver(watched, elapsed - age);
        }
      }
      this.#takingOver = 'done';
    } catch (error) {
      note('since when stop conditions hold is not taken over yet', { reason: String(error) });
      this.#takingOver = 'to do';
    }
  }

  #evaluate(run: Run): void {
    const { clock } = this.#options.runtime;
    const stored = this.#options.current(run.stored.policy.metadata.name) ?? run.stored;
    if (run.told || phaseAt(stored, clock.now()) !== 'active') return;
    run.conditions.forEach(({ condition }, i) => void this.#evaluateOne(run, i, condition));
  }

  async #evaluateOne(run: Run, i: number, condition: QueryCondition): Promise<void> {
    const { clock } = this.#options.runtime;
    const { asked, answer } = await this.#ask(condition.query);
    const before = run.conditions[i];
    if (!this.#running || run.told || before === undefined || this.#runs.get(run.stored.policy.metadata.name) !== run) return;
    const verdict = judge(answer, condition);
    this.#options.judged?.(verdict.kind);
    run.conditions[i] = evaluated(before, verdict, asked, clock.now());
    this.#decide(run, i);
    void this.#mark(run);
  }

  /** Ends the run if the condition has held for long enough, else looks again as soon as it will have. */
  #decide(run: Run, i: number): void {
    const { runtime, stopped } = this.#options;
    const watched = run.conditions[i];
    run.due[i]?.();
    if (watched === undefined || run.told) return;
    const elapsed = runtime.clock.elapsed();
    if (ends(watched, elapsed)) {
      run.told = true;
      for (const cancel of run.due) cancel();
      stopped(run.stored, endBy(watched, runtime.clock.now()));
      return;
    }
    const due = dueAt(watched);
    if (due === undefined || due <= elapsed) return;
    run.due[i] = runtime.timers.after(due - elapsed, () => {
      // Who doesn't answer isn't waited for again.
      if (run.conditions[i]?.last?.verdict.kind === 'no-data') this.#decide(run, i);
      else if (runtime.clock.elapsed() < due) this.#decide(run, i);
      else void this.#evaluateOne(run, i, watched.condition);
    });
  }

  #ask(query: string): Promise<{ readonly asked: number; readonly answer: Awaited<ReturnType<Prometheus['ask']>> }> {
    const found = this.#asking.get(query);
    if (found !== undefined) return found;
    const asked = this.#options.runtime.clock.elapsed();
    const asking = this.#options.prometheus.ask(query).then((answer) => {
      this.#asking.delete(query);
      return { asked, answer };
    });
    this.#asking.set(query, asking);
    return asking;
  }

  /** Lets the next evaluator know since when the conditions hold. Written when one begins or ceases to. */
  async #mark(run: Run): Promise<void> {
    const { store, runtime, note } = this.#options;
    const mark = markOf(run, runtime);
    const said = Object.keys(mark.since).join();
    if (this.#takingOver !== 'done' || run.marking || said === run.marked) return;
    run.marking = true;
    try {
      if (await store.mark(mark)) run.marked = said;
    } catch (error) {
      note('since when stop conditions hold is not kept yet', { policy: mark.policy, reason: String(error) });
    }
    run.marking = false;
  }

  #drop(name: string, run: Run): void {
    this.#runs.delete(name);
    for (const cancel of run.due) cancel();
    run.told = true;
    if (this.#running && run.marked !== undefined && run.marked !== '') {
      const { appliedAt } = run.stored;
      this.#options.store.mark({ policy: name, appliedAt, since: {} }).catch(() => undefined);
    }
  }
}

function markOf({ stored, conditions }: Run, { clock }: Runtime): StopMark {
  const [now, elapsed] = [clock.now(), clock.elapsed()];
  const since = conditions.flatMap(({ condition, since: from }) => (from === undefined ? [] : [[condition.index, now - (elapsed - from)]]));
  return { policy: stored.policy.metadata.name, appliedAt: stored.appliedAt, since: Object.fromEntries(since) as Record<string, number> };
}
