import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What the gauges read at the moment when they are asked. */
export interface MetricSources {
  policies(): { active: number; ended: number };
  proxies(): { connected: number; current: number; refusing: number; unreadable: number };
  halts(): { all: number; namespaces: number; unkept: number };
  waiting(): number;
  /** Seconds since the copy of the policies was last known to be current. */
  copyAge(): number;
  following(): boolean;
}

export type Metrics = ReturnType<typeof makeMetrics>;

/** The control plane's own metrics, in a registry of their own. */
export function makeMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    requests: new Counter({
      name: 'hfi_http_requests_total',
      help: 'Answered API requests.',
      labelNames: ['method', 'route', 'status'],
      registers,
    }),
    duration: new Histogram({
      name: 'hfi_http_request_duration_seconds',
      help: 'Time until an API request was answered; the long polls are left out.',
      labelNames: ['method', 'route'],
      buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),
    compile: new Histogram({
      name: 'hfi_ruleset_compile_seconds',
      help: 'Time to compile one ruleset.',
      buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
      registers,
    }),
    ignored: new Counter({
      name: 'hfi_reports_ignored_total',
      help: "Values of proxies' reports that were not taken, by the reason.",
      labelNames: ['reason'],
      registers,
    }),
    auditSetBack: new Counter({
      name: 'hfi_audit_set_back_total',
      help: "Times that the audit's chain in etcd was not the one that this replica had seen: cut off, set back, or restored.",
      registers,
    }),
    stopEvaluations: new Counter({
      name: 'hfi_stop_evaluations_total',
      help: 'Evaluations of stop conditions by this replica, by what came of them.',
      labelNames: ['result'],
      registers,
    }),
    stopEvaluating: new Gauge({
      name: 'hfi_stop_evaluating',
      help: '1 while this replica evaluates the stop conditions.',
      registers,
    }),
    wakes: new Counter({ name: 'hfi_proxies_woken_total', help: 'Waiting proxies that a change woke.', registers }),
    relists: new Counter({ name: 'hfi_etcd_watch_lost_total', help: 'Times that the watch on etcd was lost.', registers }),
  };
}

/** Adds the gauges, which are read when they are asked for. */
export function addGauges({ registry }: Metrics, sources: MetricSources): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  new Gauge({
    name: 'hfi_policies',
    help: 'Policies, by state.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(sources.policies())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'hfi_proxies',
    help: 'Proxies connected to this replica, and how many of those run what they should, refuse a ruleset or have no readable identity.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, count] of Object.entries(sources.proxies())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'hfi_halted',
    help: 'Halts in force: 1 when everything is halted (all), and of how many namespaces there is one (namespaces).',
    labelNames: ['scope'],
    registers: [registry],
    collect() {
      const { all, namespaces } = sources.halts();
      this.set({ scope: 'all' }, all);
      this.set({ scope: 'namespaces' }, namespaces);
    },
  });
  gauge('hfi_halts_unkept', 'Halts that etcd has not taken yet.', () => sources.halts().unkept);
  gauge('hfi_polls_waiting', 'Long polls held open.', () => sources.waiting());
  gauge('hfi_etcd_copy_age_seconds', 'Time since the copy of the policies was known to be current.', () => sources.copyAge());
  gauge('hfi_etcd_following', '1 while the watch on etcd is open.', () => Number(sources.following()));
}
