import type { Logger } from 'pino';
import { countMetrics } from './counts/count-metrics.ts';
import { Counts } from './counts/counts.ts';
import { Keeper } from './counts/keeper.ts';
import { Silent } from './counts/silent.ts';
import type { Metrics } from './metrics.ts';
import type { Runtime } from './runtime.ts';
import type { EtcdConnection } from './store/client.ts';
import { CountsFollower } from './store/counts-follower.ts';
import { CountsStore } from './store/counts-store.ts';
import type { StoredPolicy } from './store/store.ts';

export interface CountingOptions {
  readonly connect: () => EtcdConnection;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  /** Of this start of this replica. */
  readonly name: string;
  readonly fresh: () => boolean;
  /** Told when a fleet-wide limit of a policy is reached, or known not to be. */
  readonly spent: (policy: string) => void;
  /** Told when a policy has hit as many requests as its `stopWhen` says. */
  readonly stopped: (stored: StoredPolicy, hits: number, limit: number) => void;
  readonly log: Logger;
}

/** The counts of the fleet, and what keeps them the same on all replicas. */
export interface Counting {
  readonly counts: Counts;
  /** Begins to read what etcd has. Call when the policies are known. */
  start(): void;
  /** Writes what isn't in etcd yet. */
  flush(): Promise<void>;
  stop(): void;
}

/** Puts the counting together. */
export function makeCounting({ connect, runtime, metrics, name, fresh, spent, stopped, log }: CountingOptions): Counting {
  const store = new CountsStore(connect());
  const note = (what: string, details: Record<string, unknown>): void => log.info(details, what);
  const counts = new Counts(runtime, {
    grew: (run, proxy) => keeper.grew(run, proxy),
    spent,
    stopped,
    ignored: (reason) => metrics.ignored.inc({ reason }),
    fresh,
    over: (run) => {
      store.sweep(run.policy, run.appliedAt).catch((error: unknown) => note('counts are not swept', { reason: String(error) }));
    },
  });
  const keeper: Keeper = new Keeper({ counts, store, runtime, name, counted: countMetrics(metrics), note });
  const follower = new CountsFollower(connect, runtime, {
    kept: (kept) => {
      counts.take(kept);
      keeper.confirm(kept.by);
    },
    removed: (key) => counts.drop(key),
    listed: (listed) => counts.listed(listed),
    note,
  });
  const silent = new Silent(counts, store, runtime);
  return {
    counts,
    start() {
      follower.start();
      silent.start();
    },
    flush: () => keeper.flush(),
    stop() {
      follower.stop();
      silent.stop();
      keeper.stop();
      counts.stop();
      store.close();
    },
  };
}
