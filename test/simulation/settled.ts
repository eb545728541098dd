import { type Committed, type History, NAMES, names } from './applies.ts';
import { halts } from './halts.ts';
import { type Invariants, type ProcessRecord, Violation } from './invariants.ts';
import { EPOCH, type Replica } from './replica.ts';
import type { Scheduler } from './scheduler.ts';
import type { Sidecar } from './sidecar.ts';
import type { Writer } from './writer.ts';

/** What must hold when all has been well for a while. */
export interface Settled {
  readonly scheduler: Scheduler;
  readonly history: History;
  readonly invariants: Invariants;
  readonly replicas: readonly Replica[];
  readonly proxies: readonly Sidecar[];
  readonly writer: Writer;
  /** Sends a request about a policy; the tag of what answered. */
  readonly visit: (proxy: Sidecar, name: string) => string | undefined;
  readonly fail: (violation: Violation) => void;
}

/** Close to its end a policy may be over for one and not for another. */
const NEAR_MS = 2000;
const ANSWER_MS = 3000;

/** Every proxy does what the policies in etcd say, and nothing else. @throws Violation */
export function judgeRulesets(settled: Settled): void {
  for (const proxy of settled.proxies) {
    for (const name of NAMES) {
      const wanted = wantedNow(settled, proxy, name);
      if (wanted === 'unknown') continue;
      const tag = settled.visit(proxy, name);
      if (tag !== wanted)
        throw new Violation(`when all is well ${proxy.name} answers for ${name} with ${tag ?? 'nothing'}, not ${wanted ?? 'nothing'}`);
    }
  }
}

/** The tag that a request must be answered with, undefined for none. */
function wantedNow({ scheduler, history, invariants, replicas }: Settled, proxy: Sidecar, name: string): string | undefined | 'unknown' {
  const apply = history.current(name);
  if (apply === undefined || !names(apply.selector, proxy.workload)) return undefined;
  if (history.halts.inForce().some((halt) => halts(halt, proxy.workload.namespace))) return undefined;
  if (apply.percentage < 100) return 'unknown';
  if (apply.durationSeconds > 0) {
    const end = apply.appliedAt + apply.durationSeconds * 1000;
    const times = replicas.map(({ offset }) => EPOCH + scheduler.now + offset);
    if (times.every((time) => time > end + NEAR_MS)) return undefined;
    // What has ended by a clock that was set back since may stay ended.
    const everAhead = replicas.flatMap(({ offsets }) => [...offsets].map((offset) => EPOCH + scheduler.now + offset));
    if (!everAhead.every((time) => time < end - NEAR_MS)) return 'unknown';
  }
  if (apply.limit === undefined) return apply.tag;
  const own = invariants.record(proxy).hits.get(apply.tag)?.length ?? 0;
  if (typeof apply.limit === 'number') return own < apply.limit ? apply.tag : undefined;
  if (own >= apply.limit.fleet) return undefined;
  const [least, most] = boundsOf({ history, replicas }, settledRecords(invariants), apply);
  if (least >= apply.limit.fleet) return undefined;
  return most < apply.limit.fleet ? apply.tag : 'unknown';
}

function settledRecords(invariants: Invariants): ProcessRecord[] {
  return [...invariants.records.values()];
}

/** Between what and what the counts of an apply are: what a killed process had not reported is lost. */
function boundsOf(
  { history, replicas }: Pick<Settled, 'history' | 'replicas'>,
  records: readonly ProcessRecord[],
  apply: Committed,
): [number, number] {
  const { tag } = apply;
  let [least, most] = [0, 0];
  for (const { hits, reported, endedAt, epoch } of records) {
    const seen = hits.get(tag)?.length ?? 0;
    most += seen;
    if (endedAt === undefined) {
      least += seen;
      continue;
    }
    const heard = (reported.get(tag) ?? []).filter(({ by }) => replicas.some(({ start }) => start === by));
    least += Math.max(history.keptOf(apply, epoch), ...heard.map(({ count }) => count));
  }
  return [least, most];
}

/** What the control plane says was injected is what the proxies' hosts saw. */
export async function judgeCounts(settled: Settled): Promise<void> {
  const { scheduler, history, invariants, replicas, proxies, writer, fail } = settled;
  for (const name of NAMES) {
    const apply = history.current(name);
    if (apply === undefined) continue;
    for (const replica of replicas) {
      writer.read(replica, `/v1/policies/${name}/counts`, (status, body) => {
        // The broom was faster.
        if (status === 404 && history.current(name) === undefined) return;
        if (status !== 200)
          return fail(new Violation(`when all is well ${replica.name} answers ${status} when asked for the counts of ${name}`));
        const counts = body as { total: { injected: number }; proxies: { name: string; counts: { injected: number } }[] };
        const records = settledRecords(invariants);
        for (const proxy of proxies) {
          const [least, most] = boundsOf(settled, invariants.recordsOf(proxy), apply);
          const told = counts.proxies.find((one) => one.name === proxy.name)?.counts.injected ?? 0;
          if (told < least || told > most) {
            fail(
              new Violation(`${replica.name} counts ${told} injections of ${apply.tag} by ${proxy.name}, which made ${least} to ${most}`),
            );
          }
        }
        const [least, most] = boundsOf(settled, records, apply);
        if (counts.total.injected < least || counts.total.injected > most) {
          fail(new Violation(`${replica.name} counts ${counts.total.injected} injections of ${apply.tag} in all, of ${least} to ${most}`));
        }
      });
    }
  }
  await scheduler.run(scheduler.now + ANSWER_MS, () => false);
}
