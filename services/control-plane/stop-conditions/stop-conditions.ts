import type { Logger } from 'pino';
import type { End } from '../../policy/lifecycle.ts';
import type { FieldError } from '../../policy/problems.ts';
import type { Policy } from '../../policy/schema.ts';
import { queryConditions } from '../../policy/stop-when.ts';
import type { Config } from '../config.ts';
import type { Runtime } from '../runtime.ts';
import type { StopStore } from '../store/stop-store.ts';
import type { Change, StoredPolicy } from '../store/store.ts';
import { judge, type Verdict } from './answer.ts';
import { Election } from './election.ts';
import { Evaluator } from './evaluator.ts';
import type { Prometheus } from './prometheus.ts';
import type { Watched } from './watched.ts';

const DEFAULT_INTERVAL_MS = 1000;

/** What is counted of the evaluations of this replica. */
export interface StopMetrics {
  readonly stopEvaluations: { inc(labels: { readonly result: Verdict['kind'] }): void };
  readonly stopEvaluating: { set(value: 0 | 1): void };
}

export interface StopConditionsOptions {
  /** Undefined when none is configured. */
  readonly prometheus: Prometheus | undefined;
  readonly store: StopStore;
  readonly config: Pick<Config, 'replica' | 'prometheus'>;
  readonly runtime: Runtime;
  readonly current: (policy: string) => StoredPolicy | undefined;
  /** A policy is to end. Told once for each run. */
  readonly stopped: (stored: StoredPolicy, end: End) => void;
  readonly metrics: StopMetrics;
  readonly log: Logger;
}

/** What is wrong with a policy's queries, or seldom meant. */
export interface Checked {
  readonly errors: readonly FieldError[];
  readonly warnings: readonly string[];
}

/** The stop conditions that Prometheus is asked for. */
export interface StopConditions {
  change(changes: readonly Change[]): void;
  /** All rules of a run that this replica has ended, be that written or not; undefined of any other. */
  over(stored: StoredPolicy): ReadonlySet<number> | undefined;
  /** How the conditions of a policy stand; empty when another replica evaluates them. */
  standing(policy: string): readonly Watched[];
  /** Asks each query once. */
  check(policy: Policy): Promise<Checked>;
  stop(): Promise<void>;
}

/** Without a Prometheus nothing is known: conditions of earlier days stop their policies. */
const NOWHERE: Prometheus = { ask: () => Promise.resolve({ kind: 'none', why: 'HFI_PROMETHEUS_URL is not set' }) };

/** Puts it together. */
export function makeStopConditions(options: StopConditionsOptions): StopConditions {
  const { prometheus, store, config, runtime, current, stopped, metrics, log } = options;
  const note = (what: string, details: Record<string, unknown>): void => log.info(details, what);
  const evaluator = new Evaluator({
    prometheus: prometheus ?? NOWHERE,
    store,
    runtime,
    intervalMs: config.prometheus?.intervalMs ?? DEFAULT_INTERVAL_MS,
    current,
    stopped,
    judged: (result) => metrics.stopEvaluations.inc({ result }),
    note,
  });
  const election = new Election({
    store,
    runtime,
    replica: config.replica,
    able: prometheus !== undefined,
    needed: () => evaluator.needed,
    changed: (standing) => {
      metrics.stopEvaluating.set(standing === 'other' ? 0 : 1);
      if (standing === 'other') evaluator.stop();
      else evaluator.start();
    },
    note,
  });
  return {
    change(changes) {
      evaluator.change(changes);
      if (evaluator.needed) election.needed();
    },
    over: (stored) => (evaluator.hasStopped(stored) ? new Set(stored.policy.spec.rules.keys()) : undefined),
    standing: (policy) => evaluator.standing(policy),
    check: ({ spec }) => check(spec, prometheus),
    stop: () => election.stop(),
  };
}

/** A query that can't be right is refused; that Prometheus can't be asked now is not, or applying a policy would hang on it. */
async function check({ stopWhen }: Policy['spec'], prometheus: Prometheus | undefined): Promise<Checked> {
  const conditions = queryConditions(stopWhen);
  const errors: FieldError[] = [];
  const warnings: string[] = [];
  if (prometheus === undefined) {
    const message =
      'can not be used: the control plane has no Prometheus; set HFI_PROMETHEUS_URL (in the stack controlPlane.prometheus.url)';
    return { errors: conditions.map(({ index }) => ({ path: pathOf(index), message })), warnings };
  }
  await Promise.all(
    conditions.map(async (condition) => {
      const { index, query, limit, forText, onNoData } = condition;
      const answer = await prometheus.ask(query);
      if (answer.kind === 'bad-query') {
        errors.push({ path: pathOf(index), message: `is refused by Prometheus: ${answer.why}` });
        return;
      }
      const verdict = judge(answer, condition);
      if (verdict.kind === 'holds')
        warnings.push(
          `${pathOf(index)} is ${verdict.value} now, ${limit.side} ${limit.value}: the policy ends when it stays so for ${forText}.`,
        );
      if (verdict.kind === 'no-data') {
        const then = onNoData === 'stop' ? `the policy ends when it stays so for ${forText}` : 'onNoData: ignore lets the policy go on';
        warnings.push(`${pathOf(index)} has no data now (${verdict.why}): ${then}.`);
      }
    }),
  );
  return { errors: inOrder(errors, ({ path }) => path), warnings: inOrder(warnings, (text) => text) };
}

function pathOf(index: number): string {
  return `spec.stopWhen[${index}].prometheus`;
}

function inOrder<T>(items: readonly T[], by: (item: T) => string): T[] {
  return [...items].sort((one, other) => (by(one) < by(other) ? -1 : 1));
}
