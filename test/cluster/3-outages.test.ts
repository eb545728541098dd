import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestStack, theStack, urlOf } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

const SYSTEM = 'boifi';
const CONTROL_PLANE = 'app.kubernetes.io/name=hfi-control-plane';
const RATE = 200;

describe('cluster: outages', function () {
  this.timeout(180_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
    await stack.apply('standing', { selector: { namespace: SHOP, service: 'callee' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
  });
  after(() => stack.deletePolicy('standing'));

  it('a replica of the control plane is killed: no fault flickers, nobody else notices, and policies go on', async () => {
    const [victim = ''] = await stack.readyPods(SYSTEM, CONTROL_PLANE, 2);
    const faulted = await stack.during('callee', RATE, async () => {
      await stack.deletePod(SYSTEM, victim, 0);
      await sleep(1000);
      await stack.apply('meanwhile', {
        selector: { namespace: SHOP, service: 'bystander' },
        rules: [{ fault: { abort: { httpStatus: 500 } } }],
      });
      assert.deepEqual(await stack.caller('/burst', { url: urlOf('bystander'), count: 50 }), { '500 meanwhile/0': 50 });
      await stack.deletePolicy('meanwhile');
      await stack.readyPods(SYSTEM, CONTROL_PLANE, 2);
    });
    assert.deepEqual(Object.keys(faulted), ['503 standing/0']);
  });

  it('a replica ends as it should: no poll is lost', async () => {
    const failures = async (): Promise<number> => {
      const { items } = await stack.data<{ items: { pollFailures: number }[] }>(['proxy', 'list']);
      return items.reduce((sum, one) => sum + one.pollFailures, 0);
    };
    const [one = ''] = await stack.readyPods(SYSTEM, CONTROL_PLANE, 2);
    const before = await failures();
    await stack.deletePod(SYSTEM, one);
    await sleep(8000);
    await stack.readyPods(SYSTEM, CONTROL_PLANE, 2);
    assert.equal((await failures()) - before, 0);
  });

  it('etcd is restarted: nothing is lost, no fault flickers', async () => {
    const before = await stack.data(['policy', 'list']);
    const faulted = await stack.during('callee', RATE, async () => {
      await stack.deletePod(SYSTEM, 'hfi-etcd-0');
      await sleep(2000);
      await stack.readyPods(SYSTEM, 'app.kubernetes.io/name=hfi-etcd', 1);
      await stack.readyPods(SYSTEM, CONTROL_PLANE, 2);
    });
    assert.deepEqual(Object.keys(faulted), ['503 standing/0']);
    assert.deepEqual(await stack.data(['policy', 'list']), before);
    // Nothing was written since: a copy of the policies must be known to be current all the same.
    await sleep(8000);
    await stack.readyPods(SYSTEM, CONTROL_PLANE, 2);
    assert.equal((await stack.hfi(['status'])).code, 0);
  });

  it('the wasm server is down while a pod starts: traffic flows', async () => {
    await stack.scale('Deployment', SYSTEM, 'wasm-server', 0);
    await stack.readyPods(SYSTEM, 'app.kubernetes.io/name=wasm-server', 0);
    const counts = await stack.during('bystander', RATE, async () => {
      await stack.scale('Deployment', SHOP, 'bystander', 2);
      await stack.readyPods(SHOP, 'app=bystander', 2);
      await sleep(1000);
    });
    assert.deepEqual(Object.keys(counts), ['200']);
    await stack.scale('Deployment', SYSTEM, 'wasm-server', 2);
    await stack.scale('Deployment', SHOP, 'bystander', 1);
    await stack.readyPods(SYSTEM, 'app.kubernetes.io/name=wasm-server', 2);
    await stack.readyPods(SHOP, 'app=bystander', 1);
  });
});
