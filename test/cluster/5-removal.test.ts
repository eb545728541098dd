import assert from 'node:assert/strict';
import { until } from '../support/processes.ts';
import { type TestStack, theStack, urlOf } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

/** As the stack sets it unless told otherwise. */
const LEASE_MS = 60_000;

const KINDS: readonly [apiVersion: string, kind: string][] = [
  ['v1', 'Namespace'],
  ['extensions.istio.io/v1alpha1', 'WasmPlugin'],
  ['networking.istio.io/v1alpha3', 'EnvoyFilter'],
  ['rbac.authorization.k8s.io/v1', 'ClusterRole'],
  ['rbac.authorization.k8s.io/v1', 'ClusterRoleBinding'],
  ['v1', 'PersistentVolume'],
  ['v1', 'PersistentVolumeClaim'],
  ['v1', 'ConfigMap'],
  ['v1', 'Secret'],
];

describe('cluster: removal', function () {
  this.timeout(240_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
  });

  /** What there is of HFI in the cluster, as `Kind namespace/name`. */
  async function leftovers(): Promise<string[]> {
    const lists = await Promise.all(
      KINDS.map(async ([apiVersion, kind]) => {
        const items = await stack.objects.list(apiVersion, kind);
        return items.map(({ metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name} ${JSON.stringify(metadata.labels ?? {})}`);
      }),
    );
    return lists.flat().filter((line) => /hfi|boifi|\/demo\b/.test(line));
  }

  it('destroy leaves nothing behind, and traffic flows, with a fault in force until then', async () => {
    await stack.apply('last', { selector: { namespace: SHOP, service: 'callee' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    const counts = await stack.during('bystander', 200, async () => void (await stack.must(['destroy', '--yes', '--skip-preview'])));
    assert.deepEqual(Object.keys(counts), ['200']);
    assert.deepEqual(await leftovers(), []);
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
    assert.deepEqual(await leftovers(), []);
  });

  it("does not adopt a namespace that isn't its own", async () => {
    await stack.objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'boifi' } });
    const { code, output } = await stack.pulumi(['up', '--yes', '--skip-preview']);
    assert.notEqual(code, 0);
    assert.match(output, /Namespace boifi is there already and is not made by HFI/);
    await stack.objects.remove({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'boifi' } });
  });

  it('says what this user may not create, before anything is made', async function () {
    const viewer = process.env.HFI_TEST_VIEWER_KUBECONFIG;
    if (viewer === undefined) return this.skip();
    const { code, output } = await stack.pulumi(['up', '--yes', '--skip-preview'], { env: { KUBECONFIG: viewer } });
    assert.notEqual(code, 0);
    assert.match(output, /You may not create namespaces, .*wasmplugins/);
    assert.deepEqual(await leftovers(), []);
  });

  it('says why a pod does not start, in the time that the configuration sets', async () => {
    await stack.set('images.nginx', 'docker.io/nginxinc/nginx-unprivileged:no-such-tag');
    await stack.set('readyWithin', '15s');
    const { code, output, ms } = await stack.pulumi(['up', '--yes', '--skip-preview']);
    await stack.must(['destroy', '--yes', '--skip-preview']);
    assert.notEqual(code, 0);
    assert.match(output, /wasm-server.* (ErrImagePull|ImagePullBackOff)/);
    assert.ok(ms < 60_000, `${ms} ms`);
    assert.deepEqual(await leftovers(), []);
  });
});
