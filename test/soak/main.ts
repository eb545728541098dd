import { Agent } from 'node:http';
import { parseArgs } from 'node:util';
import { send } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, residentMemory } from '../support/processes.ts';
import { KINDS, soakSpec } from './kinds.ts';
import { EchoService } from './service.ts';

/**
 * `npm run soak [-- --minutes N]`, 60 unless asked: mixed faults through a real Envoy at the highest rate that one client makes, while
 * the policy changes twice a second. What must hold: no answer that no rule asked for; each injection counted once; memory that
 * doesn't grow. Exit code 0 when all does, 1 when not, 2 for wrong usage.
 */

const CONNECTIONS = 24;
const CHANGE_MS = 500;
const SAMPLE_MS = 1000;
/** Memory may differ by so much between the middle and the last part of the run: allocators breathe. */
const MOST_GROWTH = 0.05;
/**
 * As in a pod with a memory limit: where there is room, V8 lets garbage lie, and the resident size says nothing of what is kept (37 MB of 300
 * after a collection). What leaks runs into the limit.
 */
const HEAP = '--max-old-space-size=96 --max-semi-space-size=4';
const COUNTERS = ['aborts', 'delays', 'resets', 'request_changes', 'response_changes'] as const;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { minutes } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } }).values;
  const limit = Number(minutes);
  if (!(limit > 0 && limit <= 1440)) {
    process.stderr.write(`soak: --minutes must be above 0 and at most 1440, not ${minutes}\n`);
    return 2;
  }
  const service = await EchoService.start();
  const mesh = await Mesh.start(await Processes.begin(), { NODE_OPTIONS: HEAP });
  try {
    const proxy = await mesh.sidecar('soak', { upstream: { host: '127.0.0.1', port: service.port } });
    await mesh.apply('soak', soakSpec(0));
    return await soak(mesh, proxy, limit * 60_000);
  } finally {
    await mesh.end();
    service.stop();
  }
}

async function soak(mesh: Mesh, proxy: Sidecar, ms: number): Promise<number> {
  const until = Date.now() + ms;
  const seen = new Map<string, number>();
  const unasked: string[] = [];
  let requests = 0;
  const memory = { Envoy: [] as number[], 'control plane': [] as number[] };

  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const client = async (): Promise<void> => {
    while (Date.now() < until) {
      const kind = KINDS[requests++ % KINDS.length];
      if (kind === undefined) break;
      const answer = await send(proxy.inbound + kind.path, { agent, headers: kind.headers ?? {} });
      const faulted = kind.tell(answer);
      if (faulted === undefined) {
        unasked.push(`${kind.path}: ${answer.status} ${answer.error ?? answer.body.slice(0, 40)} ${JSON.stringify(answer.headers)}`);
      }
      if (faulted === true) for (const counter of kind.counters) seen.set(counter, (seen.get(counter) ?? 0) + 1);
    }
  };
  let changes = 0;
  const changer = async (): Promise<void> => {
    while (Date.now() < until) {
      const begun = Date.now();
      await mesh.apply('soak', soakSpec(++changes));
      await new Promise((resolve) => setTimeout(resolve, Math.max(CHANGE_MS - (Date.now() - begun), 0)));
    }
  };
  const sampler = async (): Promise<void> => {
    while (Date.now() < until) {
      memory.Envoy.push(residentMemory(proxy.pid));
      memory['control plane'].push(residentMemory(mesh.replica.child.pid ?? 0));
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  };
  await Promise.all([changer(), sampler(), ...Array.from({ length: CONNECTIONS }, client)]);
  agent.destroy();

  say(`${requests} requests, ${Math.round(requests / (ms / 1000))} a second; ${changes} changes of the policy`);
  let failed = 0;
  const judge = (what: string, holds: boolean): void => {
    if (!holds) failed++;
    say(`${holds ? 'ok  ' : 'FAIL'} ${what}`);
  };
  judge(`answers that no rule asked for: ${unasked.length}`, unasked.length === 0);
  for (const line of unasked.slice(0, 10)) say(`     ${line}`);
  for (const counter of COUNTERS) {
    const counted = await proxy.metric(`faults_${counter}_total`);
    judge(`${counter}: the client saw ${seen.get(counter) ?? 0}, the proxy counted ${counted}`, counted === (seen.get(counter) ?? 0));
  }
  await told(mesh, seen);
  for (const counter of COUNTERS) {
    const counted = await injections(mesh, counter);
    judge(
      `${counter}: the client saw ${seen.get(counter) ?? 0}, the control plane counted ${counted}`,
      counted === (seen.get(counter) ?? 0),
    );
  }
  judge(`requests still held: ${await proxy.metric('requests_delayed')}`, (await proxy.metric('requests_delayed')) === 0);
  for (const [what, samples] of Object.entries(memory)) {
    const [middle, last] = [part(samples, 1), part(samples, 2)];
    const growth = last / middle - 1;
    const text = `${(middle / 1e6).toFixed(1)} MB in the second third, ${(last / 1e6).toFixed(1)} MB in the last (${(growth * 100).toFixed(1)} %)`;
    judge(`memory of ${what}: ${text}`, growth <= MOST_GROWTH);
  }
  return failed === 0 ? 0 : 1;
}

/** The kind by which the control plane counts what the proxy's metric counts. */
function kindOf(counter: (typeof COUNTERS)[number]): string {
  return counter.replace('_changes', '').replace(/s$/, '');
}

/** What the control plane counted, over all runs of the policy. */
async function injections(mesh: Mesh, counter: (typeof COUNTERS)[number]): Promise<number> {
  const page = await (await fetch(`${mesh.replica.url}/metrics`)).text();
  const line = page.split('\n').find((one) => one.startsWith(`hfi_injections_total{policy="soak",kind="${kindOf(counter)}"} `));
  return line === undefined ? 0 : Number(line.split(' ')[1]);
}

/** Waits a while until the control plane has been told as much as the client saw. */
async function told(mesh: Mesh, seen: ReadonlyMap<string, number>): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const counts = await Promise.all(COUNTERS.map((counter) => injections(mesh, counter)));
    if (COUNTERS.every((counter, k) => (counts[k] ?? 0) >= (seen.get(counter) ?? 0))) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** The median of a third of the samples. @param third 0, 1 or 2 */
function part(samples: readonly number[], third: number): number {
  const size = Math.floor(samples.length / 3);
  const own = samples.slice(third * size, (third + 1) * size).sort((a, b) => a - b);
  return own[own.length >> 1] ?? Number.NaN;
}

const code = await main();
process.stdout.write('', () => process.exit(code));
