import type { KubeConfig, V1Pod } from '@kubernetes/client-node';
import { answered, isReady, nameOf, podsOf } from './cluster.ts';

const FILTER = 'hfi-filter';

/** The filter of one namespace. */
export interface Plugin {
  readonly namespace: string;
  readonly sha256: string;
  readonly failStrategy: string;
}

/** Where the filter is installed, by namespace. @throws Failure */
export async function pluginsOf(cluster: KubeConfig): Promise<Plugin[]> {
  const { CustomObjectsApi } = await import('@kubernetes/client-node');
  const api = cluster.makeApiClient(CustomObjectsApi);
  const list = (await answered(
    api.listClusterCustomObject({ group: 'extensions.istio.io', version: 'v1alpha1', plural: 'wasmplugins' }),
  )) as { items: { metadata: { name: string; namespace: string }; spec: { sha256?: string; failStrategy?: string } }[] };
  return list.items
    .filter(({ metadata }) => metadata.name === FILTER)
    .map(({ metadata, spec }) => ({ namespace: metadata.namespace, sha256: spec.sha256 ?? '', failStrategy: spec.failStrategy ?? '' }))
    .sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
}

/** Whether Istio put a sidecar into a pod: as a container, or as an init container that stays. */
export function hasSidecar({ spec }: V1Pod): boolean {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].some(({ name }) => name === 'istio-proxy');
}

/** The running pods with a sidecar of the namespaces that have the filter. @throws Failure */
export async function sidecarsOf(cluster: KubeConfig): Promise<{ namespace: string; pod: string; ready: boolean }[]> {
  const plugins = await pluginsOf(cluster);
  const found = await Promise.all(
    plugins.map(async ({ namespace }) =>
      (await podsOf(cluster, namespace))
        .filter((pod) => hasSidecar(pod) && pod.status?.phase === 'Running' && pod.metadata?.deletionTimestamp === undefined)
        .map((pod) => ({ namespace, pod: nameOf(pod), ready: isReady(pod) })),
    ),
  );
  return found.flat();
}
