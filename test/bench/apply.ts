import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { Processes, until } from '../support/processes.ts';
import { hfiFilter, type RunningProxy, startProxy } from './envoy.ts';
import { buildModules } from './filters.ts';
import { type Connection, openMany } from './load.ts';
import { extremes, type Row, row } from './rows.ts';
import type { Settings } from './settings.ts';
import { Stack } from './stack.ts';
import { quantile } from './statistics.ts';

/** How soon an apply is in force in every worker, and how soon a delete is. */

const CONNECTIONS = 4;
const FAULTED = 503;

interface Times {
  readonly applied: number[];
  readonly appliedFromSending: number[];
  readonly deleted: number[];
  readonly floor: number[];
}

export async function applyRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  let stack: Stack | undefined;
  let floor: Floor | undefined;
  const connections: Connection[] = [];
  try {
    const modules = await buildModules(processes.folder);
    stack = await Stack.start(processes);
    floor = await Floor.start(stack.etcdUrl);
    const proxy = await startProxy(processes, {
      name: 'apply',
      filters: [hfiFilter(modules.hfi, stack.proxyToken)],
      controlPlanePort: stack.port,
      workers: 2,
    });
    connections.push(...(await openMany(proxy.port, CONNECTIONS)));
    await requireBothWorkers(proxy);
    const applies = short ? 20 : 220;
    const times: Times = { applied: [], appliedFromSending: [], deleted: [], floor: [] };
    await warm(stack, connections);
    for (let i = 0; i < applies; i++) {
      if (i % 50 === 0) say(`apply: ${i + 1} of ${applies}`);
      times.floor.push(await floor.once());
      await once(stack, connections, `apply-${i}`, times);
    }
    return judge(times);
  } finally {
    for (const connection of connections) connection.close();
    floor?.stop();
    stack?.stop();
    await processes.end();
  }
}

async function once(stack: Stack, connections: readonly Connection[], name: string, times: Times): Promise<void> {
  // When the apply comes is to have nothing to do with the proxies' own rhythm.
  await sleep(20 + Math.random() * 30);
  const sent = performance.now();
  const allFault = allAnswer(connections, FAULTED);
  await stack.create(name, { selector: { namespace: 'bench', workload: 'apply' }, rules: [{ fault: { abort: { httpStatus: FAULTED } } }] });
  const answered = performance.now();
  const inForce = await allFault;
  times.applied.push(inForce - answered);
  times.appliedFromSending.push(inForce - sent);
  const allPass = allAnswer(connections, 200);
  await stack.delete(name);
  const deleted = performance.now();
  times.deleted.push((await allPass) - deleted);
}

/** The first apply waits for the proxy to connect; it doesn't count. */
async function warm(stack: Stack, connections: readonly Connection[]): Promise<void> {
  for (let i = 0; i < 3; i++) await once(stack, connections, `warm-${i}`, { applied: [], appliedFromSending: [], deleted: [], floor: [] });
}

/** @returns when the last connection got this status first, by `performance.now()` */
async function allAnswer(connections: readonly Connection[], status: number): Promise<number> {
  const deadline = performance.now() + 10_000;
  const times = await Promise.all(
    connections.map(async (connection) => {
      for (;;) {
        const from = performance.now();
        if ((await connection.send()) === status) return performance.now();
        if (from > deadline) throw new Error(`not every worker answers ${status} after 10 s`);
        // Asking without a pause would take the processors from what is measured.
        await sleep(1);
      }
    }),
  );
  return Math.max(...times);
}

/** Envoy's own statistics say which worker has which connections. */
async function requireBothWorkers(proxy: RunningProxy): Promise<void> {
  await until(async () => {
    const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/stats?filter=worker_.*downstream_cx_active`)).text();
    const listeners = text.split('\n').filter((line) => line.startsWith('listener.127.0.0.1'));
    return listeners.length === 2 && listeners.every((line) => Number(line.split(': ')[1]) > 0);
  }, 'both workers have connections');
}

/** The floor: an etcd put until its watch event is in a Node process. */
class Floor {
  readonly #etcd: Etcd3;
  #arrived: (() => void) | undefined;
  #count = 0;

  private constructor(etcd: Etcd3) {
    this.#etcd = etcd;
  }

  static async start(url: string): Promise<Floor> {
    const etcd = new Etcd3({ hosts: url });
    const floor = new Floor(etcd);
    const watcher = await etcd.watch().key('bench/floor').create();
    watcher.on('put', () => floor.#arrived?.());
    return floor;
  }

  async once(): Promise<number> {
    const arrived = new Promise<void>((resolve) => {
      this.#arrived = resolve;
    });
    const from = performance.now();
    const put = this.#etcd.put('bench/floor').value(this.#count++);
    await Promise.all([put, arrived]);
    return performance.now() - from;
  }

  stop(): void {
    this.#etcd.close();
  }
}

function judge({ applied, appliedFromSending, deleted, floor }: Times): Row[] {
  const at = (name: string, times: readonly number[], share: number, limit?: number): Row => {
    const value = quantile(times, share);
    return row(`${name}, p${share * 100} of ${times.length}`, 'ms', value, extremes(times), {
      peer: 'etcd put to watch event',
      peerValue: quantile(floor, share),
      ...(limit !== undefined && { bar: `<= ${limit}`, holds: value <= limit }),
    });
  };
  return [
    at('apply: answered to all workers fault', applied, 0.5, 15),
    at('apply: answered to all workers fault', applied, 0.99, 60),
    at('apply: sent to all workers fault', appliedFromSending, 0.5),
    at('apply: sent to all workers fault', appliedFromSending, 0.99),
    at('delete: answered to no worker faults', deleted, 0.5),
    at('delete: answered to no worker faults', deleted, 0.99),
  ];
}
