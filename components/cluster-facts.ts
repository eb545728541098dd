import {
  ApiException,
  AppsV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  StorageV1Api,
  VersionApi,
} from '@kubernetes/client-node';
import { OWNER_ANNOTATION } from './labels.ts';

/** What the cluster says, as far as it matters; undefined where it may not be asked. */
export interface ClusterFacts {
  readonly version: string;
  /** By name: who owns it, whether it is being deleted, and its labels. */
  readonly namespaces: ReadonlyMap<
    string,
    { readonly owner: string | undefined; readonly ending: boolean; readonly labels: Readonly<Record<string, string>> }
  >;
  /** Whether each of the custom resources that matter is there, as `plural.group`; those that aren't in it are unknown. */
  readonly resources: ReadonlyMap<string, boolean>;
  /** Istio's version as its control plane's image says it. */
  readonly istio: string | undefined;
  /** Names of the StorageClasses, and which is the default. */
  readonly storageClasses: readonly { readonly name: string; readonly isDefault: boolean }[] | undefined;
  /** What this user may not create. */
  readonly forbidden: readonly string[];
}

/** The oldest Kubernetes and Istio that HFI works with. */
export const LEAST_KUBERNETES = '1.24';
export const LEAST_ISTIO = '1.24';
export const WASM_PLUGINS = 'wasmplugins.extensions.istio.io';
export const ENVOY_FILTERS = 'envoyfilters.networking.istio.io';
export const OPERATOR = ['podmonitors.monitoring.coreos.com', 'prometheusrules.monitoring.coreos.com'];

/** The custom resources that the program makes or could make, by the API version in which it does. */
const CUSTOM_RESOURCES: Readonly<Record<string, readonly string[]>> = {
  'extensions.istio.io/v1alpha1': [WASM_PLUGINS],
  'networking.istio.io/v1alpha3': [ENVOY_FILTERS],
  'monitoring.coreos.com/v1': OPERATOR,
};

/** What the program creates, as `group/resource`. */
const CREATED = [
  '/namespaces',
  '/configmaps',
  '/secrets',
  '/services',
  '/serviceaccounts',
  '/persistentvolumeclaims',
  'apps/deployments',
  'apps/statefulsets',
  'batch/cronjobs',
  'policy/poddisruptionbudgets',
  'networking.k8s.io/networkpolicies',
  'extensions.istio.io/wasmplugins',
] as const;

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
  const [namespaces, resources, istio, storageClasses, forbidden] = await Promise.all([
    Promise.all(names.map(async (name) => [name, await permitted(core.readNamespace({ name }))] as const)),
    resourcesOf(cluster),
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
    resources,
    istio: tagOf(image),
    storageClasses: storageClasses?.items.map(({ metadata }) => ({
      name: metadata?.name ?? '',
      isDefault: metadata?.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
    })),
    forbidden,
  };
}

/** `1.24.1` of `registry:5000/istio/pilot:1.24.1@sha256:…`. */
export function tagOf(image: string | undefined): string | undefined {
  return /^[^@]*:([^:/@]+)(?:@|$)/.exec(image ?? '')?.[1];
}

/** By discovery, which every user may ask for, unlike the list of definitions. */
async function resourcesOf(cluster: KubeConfig): Promise<Map<string, boolean>> {
  const api = cluster.makeApiClient(CustomObjectsApi);
  const asked = Object.entries(CUSTOM_RESOURCES).map(async ([apiVersion, names]) => {
    const [group = '', version = ''] = apiVersion.split('/');
    const there = await api.getAPIResources({ group, version }).then(
      ({ resources }) => new Set(resources.map(({ name }) => `${name}.${group}`)),
      (error: unknown) => {
        if (error instanceof ApiException && error.code === 404) return new Set<string>();
        if (error instanceof ApiException && [401, 403].includes(error.code)) return undefined;
        throw error;
      },
    );
    return there === undefined ? [] : names.map((name) => [name, there.has(name)] as const);
  });
  return new Map((await Promise.all(asked)).flat());
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
