import { type ProxyState, troubleOf } from '../trouble.ts';
import { type Check, failed, ok, warning } from './check.ts';

/** A proxy as the control plane knows it. */
export interface Known extends ProxyState {
  readonly name: string;
  readonly filter: string;
}

/** Whether every proxy that the control plane knows is connected, well, and on the filter's version of this stack. */
export function proxyChecks(known: readonly Known[], version: string): Check[] {
  const connected = known.filter((proxy) => proxy.connected);
  if (connected.length === 0) {
    return [
      failed(
        'proxies',
        'none is connected',
        'See that a namespace has sidecars and the filter: mesh.namespaces in the stack’s configuration.',
      ),
    ];
  }
  const unwell = connected.filter((proxy) => troubleOf(proxy) !== undefined).map((proxy) => `${proxy.name}: ${troubleOf(proxy)}`);
  const old = connected.filter(({ filter }) => filter !== version).map(({ name, filter }) => `${name} has ${filter}`);
  return [
    unwell.length === 0
      ? ok('proxies', `${connected.length} connected, all run what they should`)
      : failed('proxies', unwell.join('; '), 'hfi logs filter says why.'),
    old.length === 0
      ? ok('filter version', version)
      : warning(
          'filter version',
          `${old.join('; ')}, where the stack has ${version}`,
          'Istio takes the new one within seconds; else restart the pod.',
        ),
  ];
}

/** A pod with a sidecar in a namespace that has the filter. */
export interface Sidecar {
  readonly namespace: string;
  readonly pod: string;
}

/** The first classic trouble: a sidecar that should have the filter, of which the control plane hears nothing. */
export function pluginChecks(
  sidecars: readonly Sidecar[],
  plugins: readonly { namespace: string; failStrategy: string }[],
  known: readonly Known[],
): Check[] {
  const name = 'plugin loaded';
  if (plugins.length === 0) {
    return [failed(name, 'no namespace has the filter', 'Name your namespaces in mesh.namespaces of the stack, and run pulumi up.')];
  }
  const closed = plugins.filter(({ failStrategy }) => failStrategy !== 'FAIL_OPEN').map(({ namespace }) => namespace);
  const heard = known.filter((proxy) => proxy.connected).map((proxy) => proxy.name);
  const silent = sidecars.filter(({ namespace, pod }) => !heard.some((one) => one.includes(`~${pod}.${namespace}~`)));
  return [
    ...(closed.length === 0
      ? []
      : [
          failed(
            'fails open',
            `${closed.join(', ')}: not FAIL_OPEN, so traffic would stop without the filter`,
            'Run pulumi up to mend it.',
          ),
        ]),
    silent.length === 0
      ? ok(name, `in all ${sidecars.length} sidecars of ${plugins.map(({ namespace }) => namespace).join(', ')}`)
      : failed(
          name,
          `the control plane hears nothing of ${silent.map(({ namespace, pod }) => `${namespace}/${pod}`).join(', ')}`,
          'hfi logs filter; a line "fetch" or "wasm" tells of a download that failed: see the check wasm-server, then restart the pod. The label hfi.dev/faults: disabled opts a pod out only of faults.',
        ),
  ];
}

/** The second: metrics that are not shown. */
export function metricsCheck(sampled: number, showing: number): Check {
  const name = 'metrics shown';
  if (sampled === 0) return warning(name, 'no sidecar to ask', 'Start a pod with a sidecar in a namespace that has the filter.');
  return showing === sampled
    ? ok(name, `on :15020/stats/prometheus of ${showing} asked`)
    : failed(
        name,
        `${sampled - showing} of ${sampled} sidecars show no wasmcustom_hfi_* metric`,
        'Set mesh.metricsFilter: true in the stack when the mesh has a proxyStatsMatcher of its own, run pulumi up, and restart the pods.',
      );
}
