import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';
import { Processes } from '../support/processes.ts';
import { atMost, extremes, type Row, row } from './rows.ts';
import type { Settings } from './settings.ts';
import { Stack } from './stack.ts';
import { median, medianInterval, quantile } from './statistics.ts';

/** Policy writes through the control plane, beside plain puts of the same size into the same etcd at the same rate. */

/** Writes a second of the judged row: more than a team and its pipelines make together. */
const RATE = 100;

type Write = (i: number) => Promise<void>;

export async function writeRows({ short, say }: Settings): Promise<Row[]> {
  const processes = await Processes.begin();
  let stack: Stack | undefined;
  let etcd: Etcd3 | undefined;
  try {
    stack = await Stack.start(processes);
    etcd = new Etcd3({ hosts: stack.etcdUrl });
    const controlPlane = stack;
    const policies: Write = (i) => controlPlane.put(`write-${i % 50}`, spec(i));
    const plain = etcd;
    const puts: Write = async (i) => {
      await plain.put(`bench/write-${i % 50}`).value(JSON.stringify(policy.parse({ metadata: { name: 'write' }, spec: spec(i) })));
    };
    await closedLoop(policies, 200);
    await closedLoop(puts, 200);
    const rounds = short ? 3 : 9;
    const count = short ? 200 : 1000;
    const most: Measured = { policies: [], puts: [] };
    for (let i = 0; i < rounds; i++) {
      await inTurn(i, policies, puts, most, (write) => closedLoop(write, count));
    }
    const half = Math.round(median(most.policies) / 2);
    const steady: Measured = { policies: [], puts: [] };
    const busy: Measured = { policies: [], puts: [] };
    for (let i = 0; i < rounds; i++) {
      say(`writes: round ${i + 1} of ${rounds}`);
      await inTurn(i, policies, puts, steady, async (write) => quantile(await atRate(write, RATE, count / 2), 0.99));
      await inTurn(i, policies, puts, busy, async (write) => quantile(await atRate(write, half, count), 0.99));
    }
    return [
      row('writes: policies, 8 writers', 'writes/s', median(most.policies), extremes(most.policies), {
        peer: 'etcd put, 8 writers',
        peerValue: median(most.puts),
      }),
      ...tail(RATE, steady, 2),
      ...tail(half, busy),
    ];
  } finally {
    etcd?.close();
    stack?.stop();
    await processes.end();
  }
}

interface Measured {
  readonly policies: number[];
  readonly puts: number[];
}

async function inTurn(
  round: number,
  policies: Write,
  puts: Write,
  into: Measured,
  measure: (write: Write) => Promise<number>,
): Promise<void> {
  const turns = [
    [policies, into.policies],
    [puts, into.puts],
  ] as const;
  for (const [write, values] of round % 2 === 0 ? turns : [...turns].reverse()) values.push(await measure(write));
}

let written = 0;

/** Each spec differs from the one before: an unchanged policy would not be written. */
function spec(i: number): PolicyInput['spec'] {
  return {
    // No proxy is selected: this row is about the store.
    selector: { namespace: 'nowhere' },
    rules: [{ match: { path: { exact: `/write/${i}` } }, fault: { abort: { httpStatus: 503 } } }],
  };
}

/** Eight writers, each at once with the next. @returns writes a second */
async function closedLoop(write: Write, count: number): Promise<number> {
  const from = performance.now();
  let left = count;
  const writer = async (): Promise<void> => {
    while (left-- > 0) await write(written++);
  };
  await Promise.all(Array.from({ length: 8 }, writer));
  return (count / (performance.now() - from)) * 1000;
}

/** Writes at a steady rate whatever the answers do. @returns milliseconds that each took */
async function atRate(write: Write, perSecond: number, count: number): Promise<number[]> {
  const begun = performance.now();
  const running: Promise<number>[] = [];
  while (running.length < count) {
    const due = Math.min(count, Math.floor(((performance.now() - begun) / 1000) * perSecond) + 1);
    while (running.length < due) {
      const from = performance.now();
      running.push(write(written++).then(() => performance.now() - from));
    }
    await sleep(1);
  }
  return Promise.all(running);
}

/** The p99 of each round beside that of the puts in the same round. @param limit what the ratio may be, where there is a bar */
function tail(rate: number, { policies, puts }: Measured, limit?: number): Row[] {
  const ratios = policies.map((value, i) => value / (puts[i] ?? Number.NaN));
  const interval = medianInterval(ratios);
  const ratio = median(ratios);
  return [
    row(`writes: policy p99 at ${rate}/s`, 'ms', median(policies), extremes(policies), {
      peer: 'etcd put p99, same rate',
      peerValue: median(puts),
    }),
    row(`writes: p99 over that of etcd put at ${rate}/s`, 'x', ratio, interval, {
      ...(limit !== undefined && { bar: `<= ${limit}`, holds: atMost(ratio, interval, limit) }),
    }),
  ];
}
