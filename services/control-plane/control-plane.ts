import type { Logger } from 'pino';
import { policyEnd } from '../policy/end.ts';
import { makeApp } from './api/app.ts';
import { Tokens } from './api/auth.ts';
import { countPolicies, countProxies } from './api/counts.ts';
import type { Copy } from './api/parts.ts';
import { asResource } from './api/proxies.ts';
import { RateLimit } from './api/rate-limit.ts';
import type { Config } from './config.ts';
import { type Counting, makeCounting } from './counting.ts';
import { filterModuleAt } from './explain/filter-module.ts';
import { Fleet } from './fleet/fleet.ts';
import { addGauges, makeMetrics } from './metrics.ts';
import { Peers } from './replicas/peers.ts';
import { pause, type Runtime } from './runtime.ts';
import { makeClient } from './store/client.ts';
import { EtcdStore } from './store/etcd.ts';
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
}

export interface ControlPlane {
  readonly fetch: ReturnType<typeof makeApp>['fetch'];
  start(): void;
  /** Says that it isn't ready any more, leaves the list of replicas and answers every waiting poll. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Puts one replica together. Everything that it takes from outside is in `surroundings`. */
export function makeControlPlane({ config, runtime, log, fetch: ask }: Surroundings): ControlPlane {
  const store = new EtcdStore(makeClient(config.etcd), runtime, { keepEndedSeconds: KEEP_ENDED_SECONDS });
  const metrics = makeMetrics();
  let serving = true;

  const follower = new Follower(() => makeClient(config.etcd), runtime, {
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
    makeClient: () => makeClient(config.etcd),
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

  const peers = new Peers({ self: config.replica, replicas: () => follower.replicas, fetch: ask });
  const app = makeApp({
    runtime,
    store,
    copy,
    fleet,
    counts: counting.counts,
    peers,
    tokens: new Tokens(config.tokens),
    writeLimit: new RateLimit(config.writesPerSecond, config.writeBurst, runtime.clock),
    filter: filterModuleAt(config.filterFile),
    metrics,
    log,
    replica: config.replica,
    start,
    version: VERSION,
    serving: () => serving,
  });

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
      if (config.advertiseUrl !== undefined) void register(config.advertiseUrl);
    },
    async drain() {
      serving = false;
      fleet.drain();
      await Promise.all([store.withdraw(), counting.flush()]);
    },
    async stop() {
      follower.stop();
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
