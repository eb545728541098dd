import assert from 'node:assert/strict';
import { until } from '../support/processes.ts';
import { leftovers } from './leftovers.ts';
import { type TestStack, theStack, urlOf } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

/** As the stack sets it unless told otherwise. */
const LEASE_MS = 60_000;

describe('cluster: removal', function () {
  this.timeout(240_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
  });

  it('destroy leaves nothing behind, and traffic flows, with a fault in force until then', async () => {
    await stack.apply('last', { selector: { namespace: SHOP, service: 'callee' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    const counts = await stack.during('bystander', 200, async () => void (await stack.must(['destroy', '--yes', '--skip-preview'])));
    assert.deepEqual({ ...counts, 200: 'many' }, { 200: 'many' });
    assert.deepEqual(await leftovers(stack), []);
    // Connections that stood go on through Envoy's draining listener, with the filter, for at most the lease.
    const begun = performance.now();
    await until(
      async () => (await stack.caller('/burst', { url: urlOf('callee'), count: 100 }))['200'] === 100,
      'no fault is left',
      LEASE_MS + 5000,
    );
    process.stdout.write(`      the last fault ended ${((performance.now() - begun) / 1000).toFixed(1)} s after the destroy\n`);
  });

  it('a second destroy has nothing to do', async () => {
    await stack.must(['destroy', '--yes', '--skip-preview']);
  });

  it('installs again, and destroys with etcd down and a namespace that is ending already', async () => {
    await stack.up();
    await stack.scale('StatefulSet', 'boifi', 'hfi-etcd', 0);
    await stack.readyPods('boifi', 'app.kubernetes.io/name=hfi-etcd', 0);
    await stack.objects.raw('DELETE', '/api/v1/namespaces/demo');
    await stack.must(['destroy', '--yes', '--skip-preview']);
    assert.deepEqual(await leftovers(stack), []);
  });
});
