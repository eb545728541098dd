import assert from 'node:assert/strict';
import { send, sendMany, statuses } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes } from '../support/processes.ts';

const path = { exact: '/held' };

describe('mesh: held requests beside others', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let sidecar: Sidecar;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    sidecar = await mesh.sidecar('held');
  });
  after(() => mesh?.end());

  for (const [what, fault, status] of [
    ['answered', { start_delay_ms: 20, abort: { httpStatus: 503 } }, 503],
    ['let go', { delay: { fixed_delay: '20ms' } }, 200],
  ] as const) {
    it(`requests that come by while others are ${what} are left alone`, async () => {
      await mesh.apply('held', { selector: { service: 'held' }, rules: [{ match: { path }, fault }] });
      // A request that hangs must fail here, not run into the timeout of the test.
      const signal = AbortSignal.timeout(20_000);
      const [held, others] = await Promise.all([
        sendMany(`${sidecar.inbound}/held`, 1000, 10, () => ({ signal })),
        sendMany(`${sidecar.inbound}/other`, 5000, 10, () => ({ signal })),
      ]);
      assert.deepEqual([statuses(held), statuses(others)], [{ [status]: 1000 }, { 200: 5000 }]);
      assert.ok(held.every(({ ms }) => ms >= 20));
      assert.equal(await sidecar.metric('requests_delayed'), 0);
      assert.equal((await send(sidecar.inbound)).status, 200);
    });
  }
});
