import assert from 'node:assert/strict';
import type { TestStack } from './stack.ts';
import { theStack } from './stack.ts';

describe('cluster: install', function () {
  this.timeout(300_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
    await stack.openShop();
  });

  it('pulumi up: from nothing to ready', async () => {
    const { ms, output } = await stack.up();
    process.stdout.write(`      ${(ms / 1000).toFixed(1)} s, ${/\d+ created/.exec(output)?.[0]}\n`);
    await stack.readyPods('boifi', 'app.kubernetes.io/name=hfi-control-plane', 2);
  });

  it('a second pulumi up changes nothing', async () => {
    const { ms, output } = await stack.must(['up', '--yes', '--skip-preview', '--expect-no-changes']);
    process.stdout.write(`      ${(ms / 1000).toFixed(1)} s, ${/\d+ unchanged/.exec(output)?.[0]}\n`);
  });

  it('shows no secret in its outputs, and all of them when asked', async () => {
    const hidden = await stack.must(['stack', 'output', '--json']);
    const shown = await stack.outputs();
    const { apiToken = '' } = shown;
    assert.ok(apiToken.length > 20);
    assert.ok(!hidden.output.includes(apiToken));
    for (const name of ['controlPlaneEndpoint', 'wasmUrl', 'wasmSha256', 'namespaces', 'etcdEndpoints', 'version'])
      assert.ok(shown[name], name);
  });

  it('hfi finds it by the stack, and every sidecar is connected', async () => {
    assert.match((await stack.hfi(['context', 'add', '--stack', 'cluster-test'])).output, /context\/cluster-test created/);
    for (let tries = 0; ; tries++) {
      const { code, output } = await stack.hfi(['status']);
      if (code === 0 && /7 connected, 7 run what they should/.test(output)) break;
      assert.ok(tries < 20, output);
    }
  });

  it('hfi finds it in the cluster', async () => {
    assert.match((await stack.hfi(['context', 'add', 'by-kube', '--kube'])).output, /context\/by-kube created/);
    assert.equal((await stack.hfi(['policy', 'list', '--context', 'by-kube'])).code, 0);
    assert.equal((await stack.hfi(['context', 'use', 'cluster-test'])).code, 0);
  });
});
