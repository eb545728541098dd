import assert from 'node:assert/strict';
import type { V1Pod } from '@kubernetes/client-node';
import type { Check } from '../../cli/doctor/check.ts';
import { partChecks } from '../../cli/doctor/parts.ts';
import { type Known, metricsCheck, pluginChecks, proxyChecks } from '../../cli/doctor/proxies.ts';
import { versionChecks } from '../../cli/doctor/versions.ts';
import { misfits } from '../cli/schemas.ts';

const WASM = new Map([['wasmplugins.extensions.istio.io', true]]);
const NO_WASM = new Map([['wasmplugins.extensions.istio.io', false]]);

/** `name state`, and of what is not ok that there is something to do. */
function told(checks: readonly Check[]): string[] {
  assert.deepEqual(misfits('doctor', { items: checks }), []);
  for (const { state, fix } of checks) assert.equal(state === 'ok', fix === null);
  return checks.map(({ name, state }) => `${name} ${state}`);
}

function known(name: string, more: Partial<Known> = {}): Known {
  return { name, filter: '1', connected: true, current: true, layoutFits: true, unreadable: [], refused: null, lastSeen: 'then', ...more };
}

function pod(part: string, status: V1Pod['status']): V1Pod {
  return { metadata: { name: `${part}-0`, labels: { 'app.kubernetes.io/name': part } }, ...(status && { status }) };
}

describe('hfi doctor', () => {
  it('knows versions that are too old, and Istio that is missing', () => {
    assert.deepEqual(told(versionChecks({ version: 'v1.37.2', istio: '1.31.0', resources: WASM })), ['Kubernetes ok', 'Istio ok']);
    assert.deepEqual(told(versionChecks({ version: 'v1.23.1', istio: '1.20.1', resources: WASM })), ['Kubernetes failed', 'Istio failed']);
    assert.deepEqual(told(versionChecks({ version: 'v1.37.2', istio: undefined, resources: NO_WASM })), ['Kubernetes ok', 'Istio failed']);
    assert.deepEqual(told(versionChecks({ version: 'v1.37.2', istio: undefined, resources: WASM })), ['Kubernetes ok', 'Istio warning']);
  });

  it('says why a pod is not ready, and that a part is missing', () => {
    const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
    const waiting = { containerStatuses: [{ name: 'nginx', state: { waiting: { reason: 'ErrImagePull', message: 'no such tag' } } }] };
    const checks = partChecks('boifi', [pod('hfi-control-plane', ready), pod('wasm-server', waiting as unknown as V1Pod['status'])]);
    assert.deepEqual(told(checks), ['control-plane ok', 'wasm-server failed']);
    assert.match(checks[1]?.finding ?? '', /nginx waits: ErrImagePull no such tag/);
    assert.match(partChecks('boifi', [])[0]?.finding ?? '', /no pod in namespace boifi/);
  });

  it('finds the sidecar that the control plane hears nothing of, and a plugin that fails closed', () => {
    const plugins = [{ namespace: 'shop', failStrategy: 'FAIL_OPEN' }];
    const sidecars = ['a-1', 'b-1'].map((name) => ({ namespace: 'shop', pod: name }));
    const heard = ['a-1', 'b-1'].map((name) => known(`sidecar~10.0.0.1~${name}.shop~shop.svc.cluster.local`));
    assert.deepEqual(told(pluginChecks(sidecars, plugins, heard)), ['plugin loaded ok']);
    const [check] = pluginChecks(sidecars, plugins, heard.slice(0, 1));
    assert.match(check?.finding ?? '', /nothing of shop\/b-1$/);
    assert.deepEqual(told(pluginChecks(sidecars, [{ namespace: 'shop', failStrategy: 'FAIL_CLOSE' }], heard)), [
      'fails open failed',
      'plugin loaded ok',
    ]);
    assert.deepEqual(told(pluginChecks([], [], [])), ['plugin loaded failed']);
  });

  it('finds proxies that are not well, or on another filter', () => {
    assert.deepEqual(told(proxyChecks([known('a')], '1')), ['proxies ok', 'filter version ok']);
    assert.deepEqual(told(proxyChecks([known('a', { unreadable: ['labels'] }), known('b', { filter: '0' })], '1')), [
      'proxies failed',
      'filter version warning',
    ]);
    assert.deepEqual(told(proxyChecks([known('gone', { connected: false })], '1')), ['proxies failed']);
  });

  it('finds metrics that are not shown', () => {
    assert.deepEqual(told([metricsCheck(2, 2), metricsCheck(2, 1), metricsCheck(0, 0)]), [
      'metrics shown ok',
      'metrics shown failed',
      'metrics shown warning',
    ]);
  });
});
