import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { leftovers } from './leftovers.ts';
import { type Setting, type TestStack, theStack } from './stack.ts';

describe('cluster: what pulumi up refuses', function () {
  this.timeout(240_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
  });

  /** What it says; it must have made nothing. */
  async function refused(setting: Setting = {}): Promise<string> {
    const { code, output } = await stack.pulumi(['up', '--yes', '--skip-preview'], setting);
    assert.notEqual(code, 0);
    assert.deepEqual(await leftovers(stack), []);
    return output;
  }

  it("does not adopt a namespace that isn't its own", async () => {
    await stack.objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'boifi' } });
    const { code, output } = await stack.pulumi(['up', '--yes', '--skip-preview']);
    assert.notEqual(code, 0);
    assert.match(output, /Namespace boifi is there already and is not made by HFI/);
    await stack.objects.remove({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'boifi' } });
  });

  const viewer = process.env.HFI_TEST_VIEWER_KUBECONFIG;
  if (viewer !== undefined) {
    it('says what this user may not create, before anything is made', async () => {
      const output = await refused({ env: { KUBECONFIG: viewer } });
      assert.match(output, /You may not create namespaces, .*wasmplugins/);
    });
  }

  it('says that there is no cluster', async () => {
    const [port] = await freePorts(1);
    const config = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'none', cluster: { server: `https://127.0.0.1:${port}` } }],
      contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
      users: [{ name: 'none', user: {} }],
      'current-context': 'none',
    });
    const file = join(mkdtempSync(join(tmpdir(), 'hfi-')), 'config');
    writeFileSync(file, config);
    assert.match(await refused({ env: { KUBECONFIG: file } }), /The cluster can not be reached: .*ECONNREFUSED/);
  });

  // These two change what is the whole cluster's, which only a cluster of the test's own bears.
  if (process.env.HFI_TEST_BED !== undefined) {
    it('says that there is no default StorageClass, and which there are', async () => {
      const [storage] = await stack.objects.list('storage.k8s.io/v1', 'StorageClass');
      const mark = (value: string) =>
        stack.objects.raw('PATCH', `/apis/storage.k8s.io/v1/storageclasses/${storage.metadata.name}`, {
          metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': value } },
        });
      await mark('false');
      const output = await refused().finally(() => mark('true'));
      assert.match(output, new RegExp(`no default StorageClass .*set etcd\\.storageClass; there are: ${storage.metadata.name}\\.`));
    });

    it('says that Istio is too old', async () => {
      // The bed's istiod is a process of the node. This one is only there to be looked at.
      const labels = { app: 'istiod' };
      const old = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'istiod-old', namespace: 'istio-system', labels },
        spec: {
          replicas: 0,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: 'discovery', image: 'docker.io/istio/pilot:1.20.3' }] } },
        },
      };
      await stack.objects.apply(old);
      const output = await refused().finally(() => stack.objects.remove(old));
      assert.match(output, /Istio is 1\.20\.3; HFI needs 1\.24 or newer/);
    });
  }

  it('says why a pod does not start, in the time that the configuration sets', async () => {
    await stack.set('images.nginx', 'docker.io/nginxinc/nginx-unprivileged:no-such-tag');
    await stack.set('readyWithin', '15s');
    const { code, output, ms } = await stack.pulumi(['up', '--yes', '--skip-preview']);
    await stack.must(['destroy', '--yes', '--skip-preview']);
    assert.notEqual(code, 0);
    assert.match(output, /wasm-server.* (ErrImagePull|ImagePullBackOff)/);
    assert.ok(ms < 60_000, `${ms} ms`);
    assert.deepEqual(await leftovers(stack), []);
  });
});
