import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
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
});
