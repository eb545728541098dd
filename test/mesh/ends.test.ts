import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Replica } from '../support/control-plane.ts';
import { send, sendMany, statuses } from '../support/load.ts';
import { Mesh } from '../support/mesh.ts';
import { Processes } from '../support/processes.ts';

describe('mesh: ends', function () {
  this.timeout(30_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
  });
  after(() => mesh?.end());

  it('a rule ends on time within the lease without a control plane that withdraws it', async () => {
    const sidecar = await mesh.sidecar('alone');
    await mesh.apply('timed', { rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: 3 } }] });
    const { body } = await mesh.replica.ask('GET', '/v1/policies/timed');
    const end = Date.parse((body.status as { endsAt: string }).endsAt);
    await mesh.replica.kill();
    await sleep(end - Date.now() - 100);
    assert.equal((await send(sidecar.inbound)).status, 503);
    await sleep(end - Date.now() + 30);
    assert.deepEqual(statuses(await sendMany(sidecar.inbound, 50, 4)), { 200: 50 });
    assert.ok(((await sidecar.metric('lease_remaining_seconds')) ?? 0) > 30);
  });

  it("a policy with an owner's lease goes on while it is renewed, and ends in every proxy when it isn't", async () => {
    const replica = await Replica.start(mesh.processes, mesh.etcd.url, { port: mesh.replica.port });
    mesh.replica = replica;
    const sidecars = await Promise.all(['held-1', 'held-2'].map((name) => mesh.sidecar(name)));
    await mesh.apply('held', { lease: '5s', rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    let until = 0;
    for (let i = 0; i < 6; i++) {
      await sleep(1000);
      const { body } = await replica.ask('POST', '/v1/policies/held/renew');
      until = Date.parse(body.until as string);
      for (const { inbound } of sidecars) assert.equal((await send(inbound)).status, 503);
    }
    await sleep(until - Date.now() - 200);
    for (const { inbound } of sidecars) assert.equal((await send(inbound)).status, 503);
    await sleep(until - Date.now() + 100);
    for (const { inbound } of sidecars) assert.deepEqual(statuses(await sendMany(inbound, 20, 4)), { 200: 20 });
  });
});
