import assert from 'node:assert/strict';
import { Mesh } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

const fault = { abort: { httpStatus: 503 } };

describe('mesh: counts', function () {
  this.timeout(60_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
  });
  after(() => mesh.end());

  it('what the client saw is what the control plane counts', async () => {
    const proxy = await mesh.sidecar('frontend');
    await mesh.apply('half', { rules: [{ fault: { ...fault, percentage: 50 } }] });
    let seen = 0;
    for (let i = 0; i < 400; i++) if ((await fetch(`${proxy.inbound}/`)).status === 503) seen++;
    let total: Record<string, unknown> = {};
    await until(
      async () => {
        const { body } = await mesh.replica.ask('GET', '/v1/policies/half/counts');
        total = body.total as Record<string, unknown>;
        return total.injected === seen;
      },
      'all are counted',
      5000,
    ).catch(() => assert.fail(`seen ${seen}, counted ${JSON.stringify(total)}`));
    console.log(seen, JSON.stringify((await mesh.replica.ask('GET', '/v1/policies/half/counts')).body, null, 1));
    console.log(
      (await (await fetch(`${mesh.replica.url}/metrics`)).text())
        .split('\n')
        .filter((l) => /hfi_(matches|inj|skipped|reports)/.test(l))
        .join('\n'),
    );
  });
});
