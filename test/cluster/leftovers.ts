import type { TestStack } from './stack.ts';

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

/** What there is of HFI in the cluster, as `Kind namespace/name`. */
export async function leftovers(stack: TestStack): Promise<string[]> {
  const lists = await Promise.all(
    KINDS.map(async ([apiVersion, kind]) => {
      const items = await stack.objects.list(apiVersion, kind);
      return items.map(({ metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name} ${JSON.stringify(metadata.labels ?? {})}`);
    }),
  );
  return lists.flat().filter((line) => /hfi|boifi|\/demo\b/.test(line));
}
