import { keyText, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import { filterModule } from '../support/filter-module.ts';
import { History, NAMES, NAMESPACES, pathOf, SERVICES } from './applies.ts';
import { EtcdServer } from './etcd-server.ts';
import { Faults, SLOWING } from './faults.ts';
import { Invariants, Violation } from './invariants.ts';
import { Network } from './network.ts';
import { EPOCH, Replica } from './replica.ts';
import { Scheduler } from './scheduler.ts';
import { judgeCounts, judgeRulesets } from './settled.ts';
import { Sidecar } from './sidecar.ts';
import { Writer } from './writer.ts';

export interface Result {
  readonly seed: number;
  /** What was violated; undefined when nothing was. */
  readonly violation: string | undefined;
  /** Of all that happened. */
  readonly trace: string;
  /** The last of it. */
  readonly lines: readonly string[];
  readonly faults: readonly string[];
  readonly simulatedMs: number;
  readonly injections: number;
  readonly acknowledged: number;
  readonly events: number;
}

/** For so long things go wrong. */
const STORMY_MS = 60_000;
/** Then, within this time, everything must be as it should. */
const SETTLE_MS = 20_000;
/** And a little later, without traffic, the counts. */
const COUNTS_MS = 12_000;

const module = filterModule();

/** Runs a control plane, etcd and proxies in one process under a seed. */
export async function simulate(seed: number): Promise<Result> {
  const scheduler = new Scheduler(seed);
  const { dice } = scheduler;
  const network = new Network(scheduler);
  const etcd = new EtcdServer(scheduler, network);
  const replicas: Replica[] = [];
  for (let i = 1; i <= 1 + dice.below(2); i++) replicas.push(new Replica(`replica-${i}`, etcd, () => replicas));
  const history = new History(() => replicas.flatMap(({ offsets }) => [...offsets].map((offset) => EPOCH + scheduler.now + offset)));
  const leaseMs = dice.pick([5000, 6000, 10_000, 20_000]);
  const keys = (tag: string): string => {
    const { name = '', appliedAt = 0 } = history.byTag.get(tag) ?? {};
    return keyText(runKey(name, appliedAt));
  };
  const invariants = new Invariants(scheduler, history, leaseMs, keys, (start) => etcd.met.get(start) ?? 0);
  let violation: string | undefined;
  const fail = (error: unknown): void => {
    violation ??= error instanceof Violation ? error.message : `unexpected: ${error instanceof Error ? error.stack : String(error)}`;
  };
  const guarded = (task: () => void): void => {
    try {
      task();
    } catch (error) {
      fail(error);
    }
  };
  etcd.model.changed = (event) => guarded(() => history.take(event, scheduler.now));
  const proxies: Sidecar[] = [];
  const routes = scheduler.fork();
  // Calls go to any replica, as in a mesh, or to one as long as it is there, as over a connection that stays.
  const sticky = dice.oneIn(2);
  const server = (proxy: Sidecar): Replica => {
    const home = replicas[proxies.indexOf(proxy) % replicas.length];
    return sticky && home?.start !== undefined ? home : routes.pick(replicas);
  };
  const surroundings = { scheduler, network, module, leaseMs, server };
  for (let i = 1; i <= 2 + dice.below(2); i++) {
    const service = dice.pick(SERVICES);
    const workload = { namespace: dice.pick(NAMESPACES), service, labels: { app: service, version: dice.pick(['v1', 'v2']) } };
    proxies.push(
      new Sidecar(`proxy-${i}`, workload, 1 + dice.below(2), surroundings, {
        heard: (proxy, answer) => guarded(() => invariants.heard(proxy, answer)),
        reported: (...reported) => guarded(() => invariants.reported(...reported)),
      }),
    );
  }
  const writer = new Writer(scheduler, network, history, replicas, fail);
  const killing = (proxy: Sidecar): void => {
    if (proxy.alive) invariants.record(proxy).endedAt = scheduler.now;
  };
  const faults = new Faults({ scheduler, network, etcd, replicas, proxies, killing });
  invariants.calm = !faults.kinds.some((kind) => SLOWING.includes(kind));
  scheduler.note(`faults ${faults.kinds.join(' ')}, lease ${leaseMs} ms, replicas ${replicas.length}, proxies ${proxies.length}`);

  let traffic = true;
  const visits = scheduler.fork();
  const visit = (proxy: Sidecar, name: string): string | undefined => {
    if (!proxy.alive) return undefined;
    const { tag } = proxy.request(pathOf(name));
    if (tag === undefined) return undefined;
    scheduler.note(`${proxy.name} injects ${tag}`);
    guarded(() => invariants.injected(proxy, tag));
    return tag;
  };
  const visitAgain = (proxy: Sidecar, meanMs: number): void => {
    scheduler.after(visits.below(meanMs * 2), () => {
      if (!traffic) return;
      visit(proxy, visits.pick(NAMES));
      visitAgain(proxy, meanMs);
    });
  };

  const stopped = (): boolean => violation !== undefined;
  for (const replica of replicas) scheduler.after(dice.below(500), () => replica.launch());
  for (const proxy of proxies) scheduler.after(dice.below(1000), () => proxy.start());
  for (const proxy of proxies) visitAgain(proxy, 200);
  writer.start(dice.pick([400, 1500, 5000, 12_000]));
  faults.start();
  await scheduler.run(STORMY_MS, stopped);
  faults.stop();
  writer.stop();
  scheduler.note('all is well again');
  await scheduler.run(STORMY_MS + SETTLE_MS, stopped);
  traffic = false;
  const settled = { scheduler, history, invariants, replicas, proxies, writer, visit, fail };
  if (!stopped()) guarded(() => judgeRulesets(settled));
  await scheduler.run(STORMY_MS + SETTLE_MS + COUNTS_MS, stopped);
  if (!stopped()) await judgeCounts(settled);
  for (const replica of replicas) replica.kill();
  return {
    seed,
    violation,
    trace: scheduler.trace,
    lines: scheduler.lines,
    faults: faults.kinds,
    simulatedMs: scheduler.now,
    injections: invariants.injections,
    acknowledged: writer.acknowledged,
    events: scheduler.events,
  };
}
