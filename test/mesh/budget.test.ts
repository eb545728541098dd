import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';
import { Traffic } from '../support/traffic.ts';

const MOST = 60;
const SECONDS = 5;

describe('mesh: injections a second of the whole fleet', function () {
  this.timeout(120_000);
  let mesh: Mesh;
  let proxies: Sidecar[];

  before(async () => {
    const processes = await Processes.begin();
    const rails = join(processes.folder, 'guardrails.json');
    writeFileSync(rails, JSON.stringify({ requireEnd: false, maxInjectionsPerSecond: MOST }));
    mesh = await Mesh.start(processes, { HFI_GUARDRAILS_FILE: rails });
    proxies = await Promise.all(['one', 'two', 'three'].map((name) => mesh.sidecar(name, { concurrency: 2 })));
    await mesh.apply('flood', { rules: [{ fault: { abort: { httpStatus: 503 } } }] });
  });
  after(() => mesh.end());

  /** Requests as fast as they go, at each of these. @returns how many were faulted in each second, at all of them together */
  async function flood(at: readonly Sidecar[]): Promise<number[]> {
    const clients = at.map((proxy) => new Traffic(`${proxy.inbound}/flood`, 4));
    const faulted = (): number => clients.reduce((sum, traffic) => sum + traffic.faulted, 0);
    // What was saved up before is used up first.
    await sleep(1000);
    const seconds: number[] = [];
    for (let i = 0; i < SECONDS; i++) {
      const [from, begun] = [faulted(), performance.now()];
      await sleep(1000);
      seconds.push((faulted() - from) / ((performance.now() - begun) / 1000));
    }
    await Promise.all(clients.map((traffic) => traffic.stop()));
    return seconds;
  }

  it('are as many as the guardrail says, under full load at all proxies', async () => {
    const seconds = await flood(proxies);
    for (const hits of seconds) assert.ok(hits <= MOST * 1.1 && hits >= MOST * 0.85, `${seconds.map(Math.round)} a second`);
  });

  it('are not lent: one proxy of three does a third', async () => {
    const seconds = await flood(proxies.slice(0, 1));
    for (const hits of seconds) assert.ok(hits <= (MOST / 3) * 1.1 && hits >= (MOST / 3) * 0.85, `${seconds.map(Math.round)} a second`);
  });

  it('that did not happen are counted, and why', async () => {
    const passed = async (): Promise<number> => {
      const { body } = await mesh.replica.ask('GET', '/v1/policies/flood/counts');
      return (body.total as { skipped: { budget?: number } }).skipped.budget ?? 0;
    };
    await until(async () => (await passed()) > 1000, 'they are counted');
  });

  it('are shared by a proxy that comes', async () => {
    const four = await mesh.sidecar('four', { concurrency: 2 });
    const seconds = await flood([...proxies, four]);
    for (const hits of seconds) assert.ok(hits <= MOST * 1.1 && hits >= MOST * 0.85, `${seconds.map(Math.round)} a second`);
  });
});
