import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { AuditKey } from '../audit/signature.ts';
import { reviewer } from './access/kubernetes/reviewer.ts';
import { Tokens } from './access/tokens.ts';
import { makeApp } from './api/app.ts';
import { countPolicies, countProxies } from './api/counts.ts';
import type { Copy, Parts } from './api/parts.ts';
import { type Listens, pollListener } from './api/poll-listener.ts';
import { asResource } from './api/proxies.ts';
import { RateLimit } from './api/rate-limit.ts';
import { AuditRetention } from './audit/retention.ts';
import { Sealer } from './audit/sealer.ts';
import type { Telemetry } from './audit/telemetry.ts';
import type { Config } from './config.ts';
import { type Counting, makeCounting } from './counting.ts';
import { SETTLING_MS } from './counts/shown.ts';
import { Events, type PolicyEvent } from './events/events.ts';
import { FleetEvents, standing } from './events/fleet-events.ts';
import { HaltEvents } from './events/halt-events.ts';
import { endedBy, eventOf, resultOf } from './events/policy-events.ts';
import { filterModuleAt } from './explain/filter-module.ts';
import { Budget } from './fleet/budget.ts';
import { Fleet } from './fleet/fleet.ts';
import { Halts } from './fleet/halts.ts';
import { Unheard } from './fleet/unheard.ts';
import { Guard } from './guardrails/guard.ts';
import { makeLifecycle } from './lifecycle/lifecycle.ts';
import { injectedEnough } from './lifecycle/stop-reasons.ts';
import { addGauges, makeMetrics } from './metrics.ts';
import { Peers } from './replicas/peers.ts';
import type { Runtime } from './runtime.ts';
import type { Prometheus } from './stop-conditions/prometheus.ts';
import { makeStopConditions } from './stop-conditions/stop-conditions.ts';
import type { AuditLog } from './store/audit-log.ts';
import type { EtcdConnection } from './store/client.ts';
import { EtcdStore } from './store/etcd.ts';
import { EtcdAuditLog } from './store/etcd-audit.ts';
import { EtcdHalts } from './store/etcd-halts.ts';
import { Follower } from './store/follower.ts';
import { EtcdHistory } from './store/history.ts';
import { EtcdStopStore } from './store/stop-store.ts';
import type { StoredPolicy } from './store/store.ts';

/** The version of the control plane and of what it says of itself. */
export const VERSION = '0.1.0';

/** How long an ended policy stays where it was before it is in the history alone, in seconds. */
const KEEP_ENDED_SECONDS = 60;
const REGISTER_AGAIN_MS = 1000;
const DAY_MS = 86_400_000;

export interface Surroundings {
  readonly config: Config;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  /** Makes a connection to etcd that is shared with nobody. */
  readonly connect: () => EtcdConnection;
  /** What the metrics page says of the process, beside what it says of the replica. */
  readonly ofProcess?: (registry: Registry) => void;
  /** Who is asked for stop conditions; undefined = nobody. */
  readonly prometheus?: Prometheus | undefined;
  /** Random bytes that nobody can guess: for tokens. */
  readonly randomBytes: () => Uint8Array;
  /** Sends what was audited elsewhere, if somebody wants it. */
  readonly telemetry?: ((audit: AuditLog) => Pick<Telemetry, 'sealed' | 'stop'>) | undefined;
}

export interface ControlPlane {
  readonly fetch: ReturnType<typeof makeApp>['fetch'];
  /** Answers the polls among the requests of Node's HTTP server. */
  readonly polls: Listens;
  start(): void;
  /** Says that it isn't ready any more, leaves the list of replicas and answers every waiting poll. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Puts one replica together. Everything that it takes from outside is in `surroundings`. */
export function makeControlPlane(surroundings: Surroundings): ControlPlane {
  const { config, runtime, log, fetch: ask, connect, ofProcess, prometheus, randomBytes, telemetry } = surroundings;
  const client = connect();
  const auditKey = config.auditKey === undefined ? undefined : new AuditKey(config.auditKey);
  const audited = (): void => sealer.soon();
  const store = new EtcdStore(client, runtime, { keepEndedSeconds: KEEP_ENDED_SECONDS, auditKey, audited });
  const haltStore = new EtcdHalts(client, runtime, { auditKey, audited });
  const audit = new EtcdAuditLog(client);
  const sent = telemetry?.(audit);
  const history = new EtcdHistory(client, runtime, { auditKey, audited });
  const metrics = makeMetrics();
  const events = new Events(() => runtime.clock.now());
  let serving = true;
  /** Until the policies were read for the first time, what is read is no news. */
  let followed = false;

  const sealer = new Sealer({
    log: audit,
    runtime,
    replica: config.replica,
    key: auditKey,
    // In the log as well: kept elsewhere, these lines show whether a part of the chain was taken away.
    sealed: (seal) => {
      log.info({ sequence: seal.sequence, hash: seal.hash, entries: seal.entries.length }, 'audit sealed');
      void sent?.sealed(seal);
    },
    broken: (known, found) => {
      metrics.auditSetBack.inc();
      log.error({ known, found }, "the audit's chain in etcd is not the one that was there");
    },
    failed: (error) => log.warn({ err: error }, 'the audit is not sealed yet'),
  });
  const retention = new AuditRetention({
    log: audit,
    runtime,
    key: auditKey,
    keepMs: config.auditKeepDays * DAY_MS,
    keepEntries: config.auditKeepEntries,
    removed: (anchor) => log.info({ anchor }, 'old audit entries removed'),
    failed: (error) => log.warn({ err: error }, 'old audit entries are not removed yet'),
  });

  const follower = new Follower(connect, runtime, {
    halted: (lost) => {
      if (lost !== undefined) halts.lost(lost);
      halts.caughtUp();
      haltEvents.look(halts.inForce(), followed);
    },
    changed: (changes) => {
      counting.counts.change(changes);
      stopConditions.change(changes);
      fleet.change(changes);
      unheard.look(follower.replicas.keys());
      if (!followed) return;
      for (const change of changes) {
        tell(eventOf(change));
        const run = endedBy(change);
        if (run !== undefined) tellResult(run);
      }
    },
    renewed: (policies) => fleet.renewed(policies),
    ready: () => {
      followed = true;
      log.info('the policies are there');
      counting.start();
    },
    note: (what, details) => {
      if (what === 'etcd watch lost') metrics.relists.inc();
      log.info(details, what);
    },
  });
  const copyAge = (): number =>
    follower.currentAt === undefined ? Number.POSITIVE_INFINITY : runtime.clock.elapsed() - follower.currentAt;
  const copy: Copy = {
    policies: follower.policies,
    get revision() {
      return follower.revision;
    },
    get lastChange() {
      return follower.lastChange;
    },
    fresh: () => copyAge() <= config.staleMs,
  };

  const start = nameOfStart(runtime.random);
  const counting: Counting = makeCounting({
    connect,
    runtime,
    metrics,
    name: start,
    fresh: copy.fresh,
    spent: (policy) => fleet.reconsider(policy),
    stopped: (stored, hits, limit) => void lifecycle.ending.end(stored, injectedEnough(hits, limit, runtime.clock.now())),
    log,
  });

  const lifecycle = makeLifecycle({
    store,
    history,
    counts: () => counting.counts,
    config,
    runtime,
    fresh: copy.fresh,
    serving: () => serving,
    log,
  });

  const stopConditions = makeStopConditions({
    metrics,
    prometheus,
    store: new EtcdStopStore(client),
    config,
    runtime,
    current: (policy) => follower.policies.get(policy),
    stopped: (stored, end) => {
      // Without waiting for the store, which may be what is gone.
      fleet.reconsider(stored.policy.metadata.name);
      void lifecycle.ending.end(stored, end);
    },
    log,
  });

  const haltEvents = new HaltEvents((event) => events.tell(event));
  const halts: Halts = new Halts({
    runtime,
    store: haltStore,
    followed: follower.halts,
    seen: () => follower.revision,
    changed: () => {
      fleet.changeHalts();
      haltEvents.look(halts.inForce(), followed);
    },
    note: (what, details) => log.warn(details, what),
  });

  const guard = new Guard(config.guardrails, config.ownNamespace);
  const fleet: Fleet = new Fleet({
    runtime,
    fresh: copy.fresh,
    over: (stored) => stopConditions.over(stored) ?? counting.counts.over(stored),
    halted: (namespace) => halts.of(namespace) !== undefined,
    measureCompile: (milliseconds) => metrics.compile.observe(milliseconds / 1000),
    woken: () => metrics.wakes.inc(),
    guard: (entry, identity) => guard.allowed(entry, identity),
    budget: new Budget(config.guardrails?.maxInjectionsPerSecond, () => sharers(follower.replicas, config.replica)),
    leftOut: (policies) => log.error({ policies }, 'policies are left out: with them a ruleset would be larger than a filter takes'),
    ended: (stored) => void lifecycle.ending.over(stored),
  });
  const unheard = new Unheard({
    runtime,
    policies: () => follower.policies.values(),
    *leases() {
      for (const { hello } of fleet.proxies) yield hello.leaseMs;
    },
  });
  const fleetEvents = new FleetEvents(
    runtime,
    () => standing(fleet.proxies, runtime.clock.now()),
    (event) => events.tell(event),
  );
  fleet.onChange(() => fleetEvents.changed());

  const tell = (event: PolicyEvent | undefined): void => {
    if (event !== undefined) events.tell(event);
  };
  /** What a run did that has ended, once its last reports are there. */
  const tellResult = (run: StoredPolicy): void => {
    const endedAt = runtime.clock.now();
    runtime.timers.after(SETTLING_MS, () => {
      const result = counting.counts.result(run.policy.metadata.name, run.appliedAt, endedAt);
      if (serving && result !== null) tell(resultOf(run, result));
    });
  };

  const peers = new Peers({ self: config.replica, replicas: () => follower.replicas, timers: runtime.timers, fetch: ask });
  const parts: Parts = {
    runtime,
    store,
    audit,
    history,
    copy,
    fleet,
    counts: counting.counts,
    stopConditions,
    unheard,
    halts,
    haltStore,
    peers,
    events,
    tokens: new Tokens({
      file: config.tokens,
      issued: follower.tokens,
      copyAge,
      served: copy.fresh,
      ask: (name) => store.tokens.get(name),
      kubernetes: config.tokenReview === undefined ? undefined : reviewer(config.tokenReview, runtime.clock),
      inMesh: config.inMesh,
      clock: runtime.clock,
      limits: {
        reads: new RateLimit(config.readsPerSecond, config.readBurst, runtime.clock, 'reads'),
        polls: new RateLimit(config.pollsPerSecond, config.pollBurst, runtime.clock, 'polls'),
        reports: new RateLimit(config.pollsPerSecond, config.pollBurst, runtime.clock, 'reports'),
      },
    }),
    randomBytes,
    guard,
    writeLimit: new RateLimit(config.writesPerSecond, config.writeBurst, runtime.clock),
    filter: filterModuleAt(config.filterFile),
    metrics,
    log,
    replica: config.replica,
    start,
    version: VERSION,
    serving: () => serving,
  };
  const app = makeApp(parts);

  ofProcess?.(metrics.registry);
  addGauges(metrics, {
    policies: () => countPolicies(follower.policies.values(), runtime.clock.now()),
    proxies: () => countProxies([...fleet.proxies].map((proxy) => asResource(proxy, config.replica, runtime.clock.now()))),
    halts: () => halts.counts(),
    waiting: () => fleet.waiting,
    copyAge: () => copyAge() / 1000,
    following: () => follower.following,
  });

  const register = async (url: string): Promise<void> => {
    try {
      await store.register(config.replica, url);
    } catch {
      if (serving) runtime.timers.after(REGISTER_AGAIN_MS, () => void register(url));
    }
  };

  return {
    fetch: app.fetch,
    polls: pollListener(parts),
    start() {
      follower.start();
      sealer.start();
      retention.start();
      lifecycle.start();
      if (config.advertiseUrl !== undefined) void register(config.advertiseUrl);
    },
    async drain() {
      serving = false;
      fleet.drain();
      await Promise.all([store.withdraw(), counting.flush(), stopConditions.stop()]);
    },
    async stop() {
      follower.stop();
      sealer.stop();
      retention.stop();
      halts.stop();
      lifecycle.stop();
      fleet.stop();
      fleetEvents.stop();
      counting.stop();
      await sent?.stop();
      store.close();
    },
  };
}

/** How many replicas there are with this one, whether it is listed yet or not. */
function sharers(replicas: ReadonlyMap<string, string>, self: string): number {
  return replicas.size + (replicas.has(self) ? 0 : 1);
}

/** 16 hexadecimal digits that no other start of a replica has. */
function nameOfStart(random: () => number): string {
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}
