import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { AuditKey } from '../audit/signature.ts';
import { policyEnd } from '../policy/end.ts';
import { makeApp } from './api/app.ts';
import { Tokens } from './api/auth.ts';
import { countPolicies, countProxies } from './api/counts.ts';
import type { Copy } from './api/parts.ts';
import { asResource } from './api/proxies.ts';
import { RateLimit } from './api/rate-limit.ts';
import { AuditRetention } from './audit/retention.ts';
import { Sealer } from './audit/sealer.ts';
import type { Config } from './config.ts';
import { type Counting, makeCounting } from './counting.ts';
import { Fleet } from './fleet/fleet.ts';
import { addGauges, makeMetrics } from './metrics.ts';
import { Peers } from './replicas/peers.ts';
import { pause, type Runtime } from './runtime.ts';
import type { EtcdConnection } from './store/client.ts';
import { EtcdStore } from './store/etcd.ts';
import { EtcdAuditLog } from './store/etcd-audit.ts';
import { Follower } from './store/follower.ts';
import type { StoredPolicy } from './store/store.ts';

/** The version of the control plane and of what it says of itself. */
export const VERSION = '0.1.0';

/** How long an ended policy stays readable before its lease sweeps it, in seconds. */
const KEEP_ENDED_SECONDS = 60;
const REGISTER_AGAIN_MS = 1000;
/** Between tries to audit the end of a policy. The key keeps its place so long that one succeeds once etcd is back. */
const NOTE_END_AGAIN_MS = 1000;

export interface Surroundings {
  readonly config: Config;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  /** Makes a connection to etcd that is shared with nobody. */
  readonly connect: () => EtcdConnection;
  /** What the metrics page says of the process, beside what it says of the replica. */
  readonly ofProcess?: (registry: Registry) => void;
}

export interface ControlPlane {
  readonly fetch: ReturnType<typeof makeApp>['fetch'];
  start(): void;
  /** Says that it isn't ready any more, leaves the list of replicas and answers every waiting poll. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Puts one replica together. Everything that it takes from outside is in `surroundings`. */
export function makeControlPlane({ config, runtime, log, fetch: ask, connect, ofProcess }: Surroundings): ControlPlane {
  const client = connect();
  const auditKey = config.auditKey === undefined ? undefined : new AuditKey(config.auditKey);
  const store = new EtcdStore(client, runtime, { keepEndedSeconds: KEEP_ENDED_SECONDS, auditKey, audited: () => sealer.soon() });
  const audit = new EtcdAuditLog(client);
  const metrics = makeMetrics();
  let serving = true;

  const sealer = new Sealer({
    log: audit,
    runtime,
    replica: config.replica,
    key: auditKey,
    // In the log as well: kept elsewhere, these lines show whether a part of the chain was taken away.
    sealed: (head, entries) => log.info({ ...head, entries }, 'audit sealed'),
    broken: (known, found) => log.error({ known, found }, "the audit's chain in etcd is not the one that was there"),
    failed: (error) => log.warn({ err: error }, 'the audit is not sealed yet'),
  });
  const retention = new AuditRetention({
    log: audit,
    runtime,
    key: auditKey,
    keepMs: config.auditKeepDays * 86_400_000,
    keepEntries: config.auditKeepEntries,
    removed: (anchor) => log.info({ anchor }, 'old audit entries removed'),
    failed: (error) => log.warn({ err: error }, 'old audit entries are not removed yet'),
  });

  const follower = new Follower(connect, runtime, {
    changed: (changes) => {
      counting.counts.change(changes);
      fleet.change(changes);
    },
    ready: () => {
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
    log,
  });

  const fleet: Fleet = new Fleet({
    runtime,
    fresh: copy.fresh,
    over: (stored) => counting.counts.over(stored),
    measureCompile: (milliseconds) => metrics.compile.observe(milliseconds / 1000),
    woken: () => metrics.wakes.inc(),
    leftOut: (policies) => log.error({ policies }, 'policies are left out: with them a ruleset would be larger than a filter takes'),
    ended: (stored) => void noteEnd(stored),
  });

  const noteEnd = async (stored: StoredPolicy): Promise<void> => {
    const origin = {
      actor: { name: 'hfi', role: 'control-plane' },
      address: config.replica,
      time: policyEnd(stored.policy, stored.appliedAt),
    };
    for (let tries = 1; serving; tries++) {
      try {
        return await store.noteEnd(stored, origin);
      } catch (error) {
        if (tries === 1) log.warn({ err: error, policy: stored.policy.metadata.name }, 'the end of a policy is not audited yet');
        await pause(runtime, NOTE_END_AGAIN_MS);
      }
    }
  };

  const peers = new Peers({ self: config.replica, replicas: () => follower.replicas, timers: runtime.timers, fetch: ask });
  const app = makeApp({
    runtime,
    store,
    audit,
    copy,
    fleet,
    counts: counting.counts,
    peers,
    tokens: new Tokens(config.tokens),
    writeLimit: new RateLimit(config.writesPerSecond, config.writeBurst, runtime.clock),
    metrics,
    log,
    replica: config.replica,
    start,
    version: VERSION,
    serving: () => serving,
  });

  ofProcess?.(metrics.registry);
  addGauges(metrics, {
    policies: () => countPolicies(follower.policies.values(), runtime.clock.now()),
    proxies: () => countProxies([...fleet.proxies].map((proxy) => asResource(proxy, config.replica, runtime.clock.now()))),
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
    start() {
      follower.start();
      sealer.start();
      retention.start();
      if (config.advertiseUrl !== undefined) void register(config.advertiseUrl);
    },
    async drain() {
      serving = false;
      fleet.drain();
      await Promise.all([store.withdraw(), counting.flush()]);
    },
    async stop() {
      follower.stop();
      sealer.stop();
      retention.stop();
      fleet.stop();
      counting.stop();
      store.close();
    },
  };
}

/** 16 hexadecimal digits that no other start of a replica has. */
function nameOfStart(random: () => number): string {
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}
