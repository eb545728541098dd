import {
  ApiException,
  ApiextensionsV1Api,
  AppsV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  KubeConfig,
  StorageV1Api,
  VersionApi,
} from '@kubernetes/client-node';
import { meshNamespaces, type StackConfig } from './config.ts';
import { OWNER_ANNOTATION } from './labels.ts';

/** What the cluster says, as far as it matters; undefined where it may not be asked. */
export interface ClusterFacts {
  readonly version: string;
  /** By name: who owns it, whether it is being deleted, and its labels. */
  readonly namespaces: ReadonlyMap<
    string,
    { readonly owner: string | undefined; readonly ending: boolean; readonly labels: Readonly<Record<string, string>> }
  >;
  readonly resources: ReadonlySet<string>;
  /** Istio's version as its control plane's image says it. */
  readonly istio: string | undefined;
  /** Names of the StorageClasses, and which is the default. */
  readonly storageClasses: readonly { readonly name: string; readonly isDefault: boolean }[] | undefined;
  /** What this user may not create. */
  readonly forbidden: readonly string[];
}

const LEAST_KUBERNETES = '1.24';
const LEAST_ISTIO = '1.24';
const WASM_PLUGINS = 'wasmplugins.extensions.istio.io';
const ENVOY_FILTERS = 'envoyfilters.networking.istio.io';
const OPERATOR = ['podmonitors.monitoring.coreos.com', 'prometheusrules.monitoring.coreos.com'];

/** What the program creates, as `group/resource`. */
const CREATED = [
  '/namespaces',
  '/configmaps',
  '/secrets',
  '/services',
  '/serviceaccounts',
  'apps/deployments',
  'apps/statefulsets',
  'policy/poddisruptionbudgets',
  'networking.k8s.io/networkpolicies',
  'extensions.istio.io/wasmplugins',
] as const;

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
  if (!resources.has(WASM_PLUGINS)) {
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
  if (monitoring.enabled) {
    const missing = OPERATOR.filter((name) => !resources.has(name));
    if (missing.length > 0) found.push(`monitoring.enabled needs the Prometheus operator: the cluster has no ${missing.join(' and no ')}.`);
  }
  if (mesh.metricsFilter && !resources.has(ENVOY_FILTERS)) found.push(`mesh.metricsFilter needs ${ENVOY_FILTERS}, which is not there.`);
  return found;
}

/** Whether a version such as `v1.23.4-gke.1` is older than `1.24`. One that can't be read is taken to be new. */
export function older(version: string, least: string): boolean {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number);
  if (major === undefined || minor === undefined) return false;
  return Number(major) !== leastMajor ? Number(major) < leastMajor : Number(minor) < leastMinor;
}

/** The cluster that Pulumi's Kubernetes provider would use: its own settings, then `KUBECONFIG`, then the usual file. */
export function clusterOf(settings: Readonly<Record<string, string>>): KubeConfig {
  const cluster = new KubeConfig();
  const given = settings['kubernetes:kubeconfig'];
  if (given === undefined) cluster.loadFromDefault();
  else if (/^\s*[{a-z]\w*\s*:|^\s*\{/m.test(given)) cluster.loadFromString(given);
  else cluster.loadFromFile(given);
  const context = settings['kubernetes:context'];
  if (context !== undefined) cluster.setCurrentContext(context);
  return cluster;
}

/**
 * Asks the cluster.
 *
 * @throws Error when it can't be reached
 */
export async function factsOf(cluster: KubeConfig, names: readonly string[]): Promise<ClusterFacts> {
  const core = cluster.makeApiClient(CoreV1Api);
  const version = (await cluster.makeApiClient(VersionApi).getCode()).gitVersion;
  const [namespaces, definitions, istio, storageClasses, forbidden] = await Promise.all([
    Promise.all(names.map(async (name) => [name, await permitted(core.readNamespace({ name }))] as const)),
    permitted(cluster.makeApiClient(ApiextensionsV1Api).listCustomResourceDefinition()),
    permitted(cluster.makeApiClient(AppsV1Api).listDeploymentForAllNamespaces({ labelSelector: 'app=istiod' })),
    permitted(cluster.makeApiClient(StorageV1Api).listStorageClass()),
    forbiddenOf(cluster),
  ]);
  const image = istio?.items[0]?.spec?.template.spec?.containers[0]?.image;
  return {
    version,
    namespaces: new Map(
      namespaces.flatMap(([name, there]) =>
        there === undefined
          ? []
          : [
              [
                name,
                {
                  owner: there.metadata?.annotations?.[OWNER_ANNOTATION],
                  ending: there.metadata?.deletionTimestamp !== undefined,
                  labels: there.metadata?.labels ?? {},
                },
              ] as const,
            ],
      ),
    ),
    resources: new Set(definitions?.items.map(({ metadata }) => metadata?.name ?? '') ?? [WASM_PLUGINS, ENVOY_FILTERS, ...OPERATOR]),
    istio: image?.split(':')[1],
    storageClasses: storageClasses?.items.map(({ metadata }) => ({
      name: metadata?.name ?? '',
      isDefault: metadata?.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
    })),
    forbidden,
  };
}

async function forbiddenOf(cluster: KubeConfig): Promise<string[]> {
  const api = cluster.makeApiClient(AuthorizationV1Api);
  const asked = CREATED.map(async (one) => {
    const [group = '', resource = ''] = one.split('/');
    const review = { spec: { resourceAttributes: { verb: 'create', group, resource } } };
    const answer = await permitted(api.createSelfSubjectAccessReview({ body: review }));
    return answer?.status?.allowed === false ? [resource] : [];
  });
  return (await Promise.all(asked)).flat();
}

/** The answer; undefined when it isn't there or may not be seen. */
async function permitted<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiException && [401, 403, 404].includes(error.code)) return undefined;
    throw error;
  }
}
