import assert from 'node:assert/strict';
import { type TestStack, theStack } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

describe('cluster: hfi in the cluster', function () {
  this.timeout(60_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
  });

  it('doctor finds all well', async () => {
    const { code, output } = await stack.hfi(['doctor']);
    assert.equal(code, 0, output);
    for (const name of ['Kubernetes', 'Istio', 'control-plane', 'wasm-server', 'etcd', 'plugin loaded', 'proxies', 'metrics shown']) {
      assert.match(output, new RegExp(`^(ok|warning) +${name} `, 'm'), output);
    }
  });

  it('test goes through, and leaves no policy', async () => {
    const { code, output } = await stack.hfi(['test']);
    assert.equal(code, 0, output);
    assert.match(output, /ok {2}the frontend sees the fault\nok {2}the metric counts it\nok {2}the policy is deleted/);
    assert.doesNotMatch((await stack.hfi(['policy', 'list'])).output, /hfi-test/);
  });

  it('metrics shows each proxy', async () => {
    const { items } = await stack.data<{ items: { proxy: string; namespace: string; aborts: number; trouble: string | null }[] }>([
      'metrics',
    ]);
    assert.equal(items.filter(({ namespace }) => namespace === SHOP).length, 5);
    assert.ok(
      items.every(({ trouble }) => trouble === null),
      JSON.stringify(items),
    );
    assert.ok(items.some(({ proxy, aborts }) => proxy.startsWith('backend') && aborts > 0));
  });

  for (const [part, says] of [
    ['filter', /callee-\S+ .*hfi: ruleset [0-9a-f]{16} in force/],
    ['control-plane', /"msg"/],
    ['wasm-server', /"GET \/[0-9a-f]{64}\/plugin\.wasm HTTP\/1\.1" 200 \d+/],
    ['etcd', /ready to serve client requests/],
  ] as const) {
    it(`logs ${part}`, async () => {
      const { code, output } = await stack.hfi(['logs', part, '--tail', '500']);
      assert.equal(code, 0, output);
      assert.match(output, says);
    });
  }

  it('doctor names what is broken and says what to do', async () => {
    await stack.scale('Deployment', 'boifi', 'wasm-server', 0);
    await stack.readyPods('boifi', 'app.kubernetes.io/name=wasm-server', 0);
    const { code, output } = await stack.hfi(['doctor']);
    await stack.scale('Deployment', 'boifi', 'wasm-server', 2);
    await stack.readyPods('boifi', 'app.kubernetes.io/name=wasm-server', 2);
    assert.equal(code, 1);
    assert.match(output, /^FAILED +wasm-server .*\n +→ /m);
  });
});
