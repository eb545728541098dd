import { Processes } from '../../support/processes.ts';
import { extremes, type Row, row } from '../rows.ts';
import type { Settings } from '../settings.ts';
import { Stack } from '../stack.ts';
import { quantile } from '../statistics.ts';
import { BareHono } from './bare.ts';
import { Proxies } from './proxies.ts';

/** How soon a halt has been acknowledged by every proxy, beside bare Hono that wakes as many held polls. */

const PROXIES = 1000;
const MOST_MS = 250;
const MOST_RATIO = 1.5;

interface Times {
  /** From sending the halt until the last proxy had it, and until the control plane said that all had acknowledged. */
  readonly last: number[];
  readonly acknowledged: number[];
  /** The same of bare Hono: until the last client was answered, and until all were held again. */
  readonly bareLast: number[];
  readonly bareHeld: number[];
}

export async function haltRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  let stack: Stack | undefined;
  const fleets: Proxies[] = [];
  try {
    stack = await Stack.start(processes);
    const bare = await BareHono.start(processes);
    await stack.put('delay', { rules: [{ fault: { delay: { fixed_delay: '30s' } } }] });
    const proxies = new Proxies(stack.port, stack.proxyToken, PROXIES, 10);
    const clients = new Proxies(bare.port, '', PROXIES, 10);
    fleets.push(proxies, clients);
    await proxies.connect();
    await clients.connect();
    const rounds = short ? 3 : 40;
    const times: Times = { last: [], acknowledged: [], bareLast: [], bareHeld: [] };
    for (let i = 0; i < rounds + 1; i++) {
      if (i % 10 === 0) say(`halt: round ${i + 1} of ${rounds + 1}`);
      // The first one warms both up.
      const into = i === 0 ? { last: [], acknowledged: [], bareLast: [], bareHeld: [] } : times;
      const ours = () => haltOnce(stack as Stack, proxies, into);
      const theirs = () => wakeOnce(bare, clients, into);
      for (const turn of i % 2 === 0 ? [ours, theirs] : [theirs, ours]) await turn();
    }
    return judge(times);
  } finally {
    for (const fleet of fleets) fleet.close();
    stack?.stop();
    await processes.end();
  }
}

async function haltOnce(stack: Stack, proxies: Proxies, times: Times): Promise<void> {
  const wave = proxies.wave(PROXIES);
  const sent = performance.now();
  const { resourceVersion } = await stack.ask('POST', '/v1/halt', { reason: 'bench' });
  const rollout = await stack.ask('GET', `/v1/rollout?halted=true&revision=${resourceVersion}`, undefined, { prefer: 'wait=10' });
  const acknowledged = performance.now();
  if (rollout.done !== true || rollout.acknowledged !== PROXIES) throw new Error(`not all acknowledged: ${rollout.acknowledged}`);
  times.last.push((await wave).last - sent);
  times.acknowledged.push(acknowledged - sent);
  const back = proxies.wave(PROXIES);
  const resumed = await stack.ask('DELETE', '/v1/halt');
  await stack.ask('GET', `/v1/rollout?revision=${resumed.resourceVersion}`, undefined, { prefer: 'wait=10' });
  await back;
}

async function wakeOnce(bare: BareHono, clients: Proxies, times: Times): Promise<void> {
  const wave = clients.wave(PROXIES);
  const sent = performance.now();
  await bare.wake(PROXIES);
  await bare.held(PROXIES);
  times.bareHeld.push(performance.now() - sent);
  times.bareLast.push((await wave).last - sent);
}

function judge({ last, acknowledged, bareLast, bareHeld }: Times): Row[] {
  const of = (name: string, values: readonly number[], bare: readonly number[], peer: string, share: number): Row => {
    const value = quantile(values, share);
    const judged = share === 0.99 && values === acknowledged;
    return row(`${name}, p${share * 100} of ${values.length}`, 'ms', value, extremes(values), {
      peer,
      peerValue: quantile(bare, share),
      ...(judged && { bar: `<= ${MOST_MS}`, holds: value <= MOST_MS }),
    });
  };
  const ratio = quantile(acknowledged, 0.5) / quantile(bareHeld, 0.5);
  const ratios = acknowledged.map((value, i) => value / (bareHeld[i] ?? Number.NaN));
  const halted = `halt: ${PROXIES} proxies, last one has it`;
  const done = `halt: ${PROXIES} proxies, last acknowledgement`;
  return [
    of(halted, last, bareLast, 'bare Hono: last one woken', 0.5),
    of(halted, last, bareLast, 'bare Hono: last one woken', 0.99),
    of(done, acknowledged, bareHeld, 'bare Hono: woken and all held again', 0.5),
    of(done, acknowledged, bareHeld, 'bare Hono: woken and all held again', 0.99),
    row('halt: last acknowledgement over bare Hono, medians', 'x', ratio, extremes(ratios), {
      bar: `<= ${MOST_RATIO}`,
      holds: ratio <= MOST_RATIO,
    }),
  ];
}
