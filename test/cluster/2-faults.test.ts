import assert from 'node:assert/strict';
import { type TestStack, theStack, urlOf } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

const abort = { abort: { httpStatus: 503 } };
const callee = { namespace: SHOP, service: 'callee' };

describe('cluster: faults between pods', function () {
  this.timeout(120_000);
  let stack: TestStack;
  let caller = '';

  before(async () => {
    stack = await theStack();
    [caller = ''] = await stack.readyPods(SHOP, 'app=caller', 1);
  });

  it('without a policy all is well, over mTLS', async () => {
    assert.deepEqual(await stack.caller('/burst', { url: urlOf('callee'), count: 300 }), { '200': 300 });
    const seen = JSON.parse(await stack.ask(SHOP, caller, 8080, '/see', { url: urlOf('callee') }));
    assert.match(String(seen.headers['x-forwarded-client-cert']), /URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/caller/);
  });

  it('inbound: at the called service, on its three replicas, and on nobody else in 10,000 requests', async () => {
    await stack.apply('inbound', { selector: callee, rules: [{ fault: abort }] });
    assert.deepEqual(await stack.caller('/burst', { url: urlOf('callee'), count: 300 }), { '503 inbound/0': 300 });
    assert.deepEqual(await stack.caller('/burst', { url: urlOf('bystander'), count: 10_000 }), { '200': 10_000 });
    await stack.deletePolicy('inbound');
    assert.deepEqual(await stack.caller('/burst', { url: urlOf('callee'), count: 300 }), { '200': 300 });
  });

  it('outbound: at the caller', async () => {
    await stack.apply('outbound', { selector: { namespace: SHOP, service: 'caller' }, direction: 'outbound', rules: [{ fault: abort }] });
    assert.deepEqual(await stack.caller('/burst', { url: urlOf('bystander'), count: 100 }), { '503 outbound/0': 100 });
    await stack.deletePolicy('outbound');
    assert.deepEqual(await stack.caller('/burst', { url: urlOf('bystander'), count: 100 }), { '200': 100 });
  });

  it('a percentage holds over the replicas of a service', async () => {
    await stack.apply('share', { selector: callee, rules: [{ fault: { ...abort, percentage: 20 } }] });
    const { '503 share/0': hit = 0, '200': passed = 0, ...others } = await stack.caller('/burst', { url: urlOf('callee'), count: 10_000 });
    assert.deepEqual(others, {});
    assert.equal(hit + passed, 10_000);
    // Four standard deviations of a binomial distribution: 4 √(10,000 × 0.2 × 0.8).
    assert.ok(Math.abs(hit - 2000) <= 160, `${hit} of 10,000`);
    await stack.deletePolicy('share');
  });

  it('shows the metrics where Istio shows them', async () => {
    const pods = await stack.readyPods(SHOP, 'app=callee', 3);
    let aborts = 0;
    for (const pod of pods) {
      const text = await stack.ask(SHOP, pod, 15020, '/stats/prometheus');
      aborts += Number(/^wasmcustom_hfi_faults_aborts_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? Number.NaN);
    }
    assert.ok(aborts > 300 + 1840, `${aborts} aborts`);
  });

  it('a new pod is faulted from its first request on', async () => {
    await stack.apply('whole', { selector: callee, rules: [{ fault: abort }] });
    const counts = await stack.during('callee', 200, async () => {
      await stack.scale('Deployment', SHOP, 'callee', 4);
      await stack.readyPods(SHOP, 'app=callee', 4);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    });
    assert.deepEqual(Object.keys(counts), ['503 whole/0']);
    await stack.scale('Deployment', SHOP, 'callee', 3);
    await stack.deletePolicy('whole');
    await stack.readyPods(SHOP, 'app=callee', 3);
  });
});
