import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Counts } from '../counts/counts.ts';
import { SETTLING_MS } from '../counts/shown.ts';
import type { Runtime } from '../runtime.ts';
import type { History } from '../store/history.ts';
import type { Store } from '../store/store.ts';
import { Ending } from './ending.ts';
import { HistoryRetention } from './history-retention.ts';
import { Settler } from './settler.ts';

const DAY_MS = 86_400_000;
/** A proxy that heard nothing from the control plane tells what it counted at most so long after that is back: it tries every 8 s. */
const RETURNING_MS = 10_000;

export interface LifecycleOptions {
  readonly store: Store;
  readonly history: History;
  readonly counts: () => Counts;
  readonly config: Pick<Config, 'replica' | 'historyKeepDays' | 'historyKeepRuns'>;
  readonly runtime: Runtime;
  /** Whether the copy of the policies is current. */
  readonly fresh: () => boolean;
  readonly serving: () => boolean;
  readonly log: Logger;
}

/** What writes the ends of policies and keeps their history. */
export interface Lifecycle {
  readonly ending: Ending;
  start(): void;
  stop(): void;
}

/** Puts it together. */
export function makeLifecycle({ store, history, counts, config, runtime, fresh, serving, log }: LifecycleOptions): Lifecycle {
  /** Since when this replica has known everything without a break, by `elapsed`, as far as somebody looked. */
  let knowing: number | undefined;
  const knowsAll = (): boolean => {
    const knows = serving() && fresh() && counts().loaded;
    knowing = knows ? (knowing ?? runtime.clock.elapsed()) : undefined;
    return knowing !== undefined && runtime.clock.elapsed() >= knowing + RETURNING_MS;
  };
  const ending = new Ending({
    store,
    runtime,
    replica: config.replica,
    serving,
    failed: (policy, error) => log.warn({ err: error, policy }, 'the end of a policy is not written yet'),
  });
  const settler = new Settler({
    history,
    runtime,
    replica: config.replica,
    settlingMs: SETTLING_MS,
    ready: knowsAll,
    resultOf: ({ policy, appliedAt, endedAt }) => counts().result(policy, appliedAt, endedAt),
    failed: (error) => log.warn({ err: error }, 'what ended policies did is not written yet'),
  });
  const retention = new HistoryRetention({
    history,
    runtime,
    keepMs: config.historyKeepDays * DAY_MS,
    keepRuns: config.historyKeepRuns,
    failed: (error) => log.warn({ err: error }, 'old runs are not removed from the history yet'),
  });
  return {
    ending,
    start() {
      settler.start();
      retention.start();
    },
    stop() {
      settler.stop();
      retention.stop();
    },
  };
}
