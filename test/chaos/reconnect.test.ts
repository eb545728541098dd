import assert from 'node:assert/strict';
import { NODE_OPTIONS } from '../../components/node-options.ts';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, processorTime, residentMemory, until } from '../support/processes.ts';
import { Crowd } from './crowd.ts';
import { FORM } from './form.ts';

/** The bar is 15 s for 10,000, and is measured by the fleet's bench; here the clients are on the same two cores. */
const SERVED_WITHIN_MS = 30_000;
const MIB = 1024 * 1024;
/** At the height of it: the program, and what an answer to each proxy leaves behind before it is swept up. */
const MOST_MIB = 200 + FORM.proxies / 25;
/** Processor time until all are served, for each proxy. */
const MOST_CPU_MS = 1.5;

describe(`chaos: ${FORM.proxies} proxies come back at once after a restart of the control plane`, function () {
  this.timeout(120_000);
  let processes: Processes;
  let crowd: Crowd | undefined;

  before(async () => {
    processes = await Processes.begin();
  });
  after(async () => {
    await crowd?.leave();
    await processes.end();
  });

  it('all are served in time, none is refused, memory and processor time are bounded', async () => {
    const etcd = await Etcd.start(processes);
    const first = await Replica.start(processes, etcd.url, { env: { HFI_LOG_LEVEL: 'warn', NODE_OPTIONS } });
    for (let i = 0; i < 20; i++)
      await first.put(`policy-${i}`, { selector: { service: `app-${i}` }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    const proxies = new Crowd(first.url, FORM.proxies);
    crowd = proxies;
    await until(
      () => proxies.served.size === FORM.proxies,
      () => `${proxies.served.size} are served`,
      60_000,
    );
    assert.deepEqual(proxies.refusals, []);

    proxies.open = false;
    await first.kill('SIGKILL');
    proxies.forget();
    const again = await Replica.start(processes, etcd.url, { port: first.port, env: { HFI_LOG_LEVEL: 'warn', NODE_OPTIONS } });
    const pid = again.child.pid ?? 0;
    const cpuBefore = processorTime(pid);
    const begun = performance.now();
    let most = 0;
    proxies.open = true;
    await until(
      () => {
        most = Math.max(most, residentMemory(pid));
        return proxies.served.size === FORM.proxies;
      },
      () => `${proxies.served.size} are served`,
      SERVED_WITHIN_MS,
    );
    const ms = performance.now() - begun;
    const cpuMs = (processorTime(pid) - cpuBefore) / 1e6;
    process.stdout.write(
      `    ${FORM.proxies} served within ${(ms / 1000).toFixed(1)} s; at most ${Math.round(most / MIB)} MiB, ${(cpuMs / 1000).toFixed(1)} s of processor time\n`,
    );
    assert.deepEqual(proxies.refusals, []);
    assert.ok(most < MOST_MIB * MIB, `${Math.round(most / MIB)} MiB`);
    assert.ok(cpuMs < MOST_CPU_MS * FORM.proxies, `${Math.round(cpuMs)} ms of processor time`);
    const { proxies: shown } = (await again.ask('GET', '/v1/status')).body as { proxies: { connected: number } };
    assert.equal(shown.connected, FORM.proxies);
  });
});
