import { setTimeout as sleep } from 'node:timers/promises';
import { Processes } from '../../support/processes.ts';
import { extremes, type Row, row } from '../rows.ts';
import type { Settings } from '../settings.ts';
import { Stack } from '../stack.ts';
import { quantile } from '../statistics.ts';
import { BareHono } from './bare.ts';
import { Proxies } from './proxies.ts';

/** How soon an apply has reached the proxies that it selects, of many; and that the others sleep on. */

const PROXIES = 10_000;
const NAMESPACES = 10;
const SELECTED = PROXIES / NAMESPACES;
const MOST_MS = 250;
const MOST_RATIO = 1.5;
const MOST_ALL_MS = 1200;
/** What is woken for nothing would be answered by then. */
const AFTERWARDS_MS = 300;

export async function applyRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  let stack: Stack | undefined;
  const fleets: Proxies[] = [];
  try {
    stack = await Stack.start(processes);
    const proxies = new Proxies(stack.port, stack.proxyToken, PROXIES, NAMESPACES);
    fleets.push(proxies);
    say(`apply: ${PROXIES} proxies connect`);
    await proxies.connect();
    const some: number[] = [];
    const all: number[] = [];
    let forNothing = 0;
    for (let i = 0; i < (short ? 2 : 20) + 1; i++) {
      if (i % 5 === 0) say(`apply: to ${SELECTED} of ${PROXIES}, round ${i + 1}`);
      const namespace = `ns-${i % NAMESPACES}`;
      proxies.forget();
      const ms = await applyOnce(stack, proxies, i, namespace, SELECTED);
      await sleep(AFTERWARDS_MS);
      // The first one warms it up.
      if (i > 0) some.push(ms);
      forNothing += proxies.answered - SELECTED;
    }
    for (let i = 0; i < (short ? 1 : 6) + 1; i++) {
      const ms = await applyOnce(stack, proxies, i, undefined, PROXIES);
      say(`apply: to all ${PROXIES}: ${Math.round(ms)} ms`);
      if (i > 0) all.push(ms);
    }
    proxies.close();
    stack.stop();
    const floor = await bareRows(processes, short, say, fleets);
    return judge(some, all, forNothing, floor);
  } finally {
    for (const fleet of fleets) fleet.close();
    stack?.stop();
    await processes.end();
  }
}

/** @returns milliseconds from sending until the last selected proxy had it */
async function applyOnce(stack: Stack, proxies: Proxies, i: number, namespace: string | undefined, count: number): Promise<number> {
  const wave = proxies.wave(count, (proxy) => namespace === undefined || proxy.namespace === namespace);
  const sent = performance.now();
  await stack.put(`bench-${namespace ?? 'all'}`, {
    selector: namespace === undefined ? {} : { namespace },
    rules: [{ match: { path: { exact: `/round/${i}` } }, fault: { abort: { httpStatus: 503 } } }],
  });
  return (await wave).last - sent;
}

interface Floor {
  readonly some: number[];
  readonly all: number[];
}

/** The same with bare Hono; after it, since both fleets at once need more file descriptors than a process may have. */
async function bareRows(processes: Processes, short: boolean, say: Settings['say'], fleets: Proxies[]): Promise<Floor> {
  const bare = await BareHono.start(processes);
  const clients = new Proxies(bare.port, '', PROXIES, NAMESPACES);
  fleets.push(clients);
  say(`apply: ${PROXIES} clients of bare Hono connect`);
  await clients.connect();
  const floor: Floor = { some: [], all: [] };
  const once = async (count: number): Promise<number> => {
    const wave = clients.wave(count);
    const sent = performance.now();
    await bare.wake(count);
    const { last } = await wave;
    await bare.held(PROXIES);
    return last - sent;
  };
  for (let i = 0; i < (short ? 2 : 20) + 1; i++) if (i > 0) floor.some.push(await once(SELECTED));
  for (let i = 0; i < (short ? 1 : 6) + 1; i++) if (i > 0) floor.all.push(await once(PROXIES));
  return floor;
}

function judge(some: readonly number[], all: readonly number[], forNothing: number, floor: Floor): Row[] {
  const p99 = quantile(some, 0.99);
  const limit = Math.max(MOST_MS, MOST_RATIO * quantile(floor.some, 0.99));
  const most = quantile(all, 1);
  const name = `apply: to ${SELECTED} of ${PROXIES}, last one has it`;
  return [
    row(`${name}, p50 of ${some.length}`, 'ms', quantile(some, 0.5), extremes(some), {
      peer: 'bare Hono: last one woken',
      peerValue: quantile(floor.some, 0.5),
    }),
    row(`${name}, p99 of ${some.length}`, 'ms', p99, extremes(some), {
      peer: 'bare Hono: last one woken',
      peerValue: quantile(floor.some, 0.99),
      bar: `<= ${MOST_MS} or ${MOST_RATIO} x`,
      holds: p99 <= limit,
    }),
    row(
      `apply: to ${SELECTED} of ${PROXIES}, others woken`,
      'proxies',
      forNothing,
      { low: forNothing, high: forNothing },
      {
        bar: '0',
        holds: forNothing === 0,
      },
    ),
    row(`apply: to all ${PROXIES}, last one has it, longest of ${all.length}`, 'ms', most, extremes(all), {
      peer: 'bare Hono: last one woken',
      peerValue: quantile(floor.all, 1),
      bar: `<= ${MOST_ALL_MS}`,
      holds: most <= MOST_ALL_MS,
    }),
  ];
}
