import { type ClusterFacts, ENVOY_FILTERS, LEAST_ISTIO, LEAST_KUBERNETES, OPERATOR, older, WASM_PLUGINS } from './cluster-facts.ts';
import { meshNamespaces, type StackConfig } from './config.ts';

/**
 * Why the stack can't be installed, each with what to do about it; empty when it can.
 *
 * @param owner `<project>/<stack>`, which marks the namespaces of this stack
 */
export function obstacles(config: StackConfig, facts: ClusterFacts, owner: string): string[] {
  return [
    ...versionObstacles(facts),
    ...namespaceObstacles(config, facts, owner),
    ...storageObstacles(config, facts),
    ...rightObstacles(config, facts),
  ];
}

function versionObstacles({ version, istio, resources }: ClusterFacts): string[] {
  const found: string[] = [];
  if (older(version, LEAST_KUBERNETES)) found.push(`The cluster is Kubernetes ${version}; HFI needs ${LEAST_KUBERNETES} or newer.`);
  if (resources.get(WASM_PLUGINS) === false) {
    found.push(
      `Istio is not there: the cluster has no ${WASM_PLUGINS}. Install Istio ${LEAST_ISTIO} or newer first (istio.io/latest/docs/setup).`,
    );
  } else if (istio !== undefined && older(istio, LEAST_ISTIO)) {
    found.push(`Istio is ${istio}; HFI needs ${LEAST_ISTIO} or newer.`);
  }
  return found;
}

function namespaceObstacles(config: StackConfig, { namespaces }: ClusterFacts, owner: string): string[] {
  const found: string[] = [];
  const own = [config.systemNamespace, ...(config.demo.enabled ? [config.demo.namespace] : [])];
  for (const name of own) {
    const there = namespaces.get(name);
    if (there === undefined) continue;
    if (there.ending) found.push(`Namespace ${name} is still being deleted: wait until it is gone (hfi doctor says what holds it).`);
    else if (there.owner !== owner) {
      const whose = there.owner === undefined ? 'not made by HFI' : `that of the stack ${there.owner}`;
      const key = name === config.systemNamespace ? 'systemNamespace' : 'demo.namespace';
      found.push(
        `Namespace ${name} is there already and is ${whose}. Nothing is adopted: set ${key} to another name, or delete it yourself.`,
      );
    }
  }
  for (const name of meshNamespaces(config)) {
    const there = namespaces.get(name);
    if (there === undefined) {
      if (!own.includes(name)) found.push(`mesh.namespaces names ${name}, which is not there.`);
    } else if (there.labels['istio.io/dataplane-mode'] === 'ambient') {
      found.push(`Namespace ${name} is in Istio's ambient mode, where pods have no sidecar for the filter: HFI works with sidecars only.`);
    } else if (there.labels['istio-injection'] !== 'enabled' && there.labels['istio.io/rev'] === undefined && !own.includes(name)) {
      found.push(`Namespace ${name} gets no sidecars: label it istio-injection=enabled (or istio.io/rev=…) and restart its pods.`);
    }
  }
  return found;
}

function storageObstacles({ etcd }: StackConfig, { storageClasses }: ClusterFacts): string[] {
  if (etcd.external !== undefined || storageClasses === undefined) return [];
  const names = storageClasses.map(({ name }) => name).join(', ') || 'none';
  if (etcd.storageClass === undefined) {
    return storageClasses.some(({ isDefault }) => isDefault)
      ? []
      : [`The cluster has no default StorageClass for etcd's volumes: set etcd.storageClass; there are: ${names}.`];
  }
  return storageClasses.some(({ name }) => name === etcd.storageClass)
    ? []
    : [`etcd.storageClass is ${etcd.storageClass}, which is not there; there are: ${names}.`];
}

function rightObstacles({ mesh, monitoring }: StackConfig, { forbidden, resources }: ClusterFacts): string[] {
  const found =
    forbidden.length === 0 ? [] : [`You may not create ${forbidden.join(', ')}: ask for the rights, or use another kubeconfig context.`];
  if (monitoring.enabled === true) {
    const missing = OPERATOR.filter((name) => resources.get(name) === false);
    if (missing.length > 0)
      found.push(
        `monitoring.enabled: true needs the Prometheus operator: the cluster has no ${missing.join(' and no ')}. With auto, they are made only where it is.`,
      );
  }
  if (mesh.metricsFilter && resources.get(ENVOY_FILTERS) === false)
    found.push(`mesh.metricsFilter needs ${ENVOY_FILTERS}, which is not there.`);
  return found;
}
