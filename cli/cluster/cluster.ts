import type { KubeConfig, V1Pod } from '@kubernetes/client-node';
import { nearest } from '../../services/policy/nearest.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';

/** Which cluster: as kubectl's own flags say it. */
export interface ClusterPlace {
  /** A kubeconfig file; `KUBECONFIG` or the usual file if not given. */
  readonly kubeconfig?: string | undefined;
  /** A context of it; its current one if not given. */
  readonly context?: string | undefined;
}

/** What kubectl and the client library take when there is no kubeconfig at all. */
const NOBODYS_SERVER = 'http://localhost:8080';

/** Reads the kubeconfig. The library is loaded only by commands that speak to a cluster. @throws Failure */
export async function openCluster({ kubeconfig, context }: ClusterPlace): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const cluster = new KubeConfig();
  try {
    if (kubeconfig === undefined) cluster.loadFromDefault();
    else cluster.loadFromFile(kubeconfig);
  } catch (error) {
    throw new Failure(`The kubeconfig can not be read: ${(error as Error).message.split('\n')[0]}.`, EXIT.usage);
  }
  if (context !== undefined) {
    const known = cluster.getContexts().map(({ name }) => name);
    if (!known.includes(context)) {
      const near = nearest(context, known);
      const hint = near === undefined ? `there are: ${known.join(', ') || 'none'}` : `did you mean "${near}"?`;
      throw new Failure(`The kubeconfig has no context "${context}"; ${hint}`, EXIT.usage);
    }
    cluster.setCurrentContext(context);
  }
  const server = cluster.getCurrentCluster()?.server;
  if (server === undefined || server === NOBODYS_SERVER) {
    throw new Failure(
      'No cluster is known: there is no kubeconfig with a current context. Set KUBECONFIG or --kube-context.',
      EXIT.noServer,
    );
  }
  return cluster;
}

/** What the Kubernetes API answers. @throws Failure when it doesn't, or refuses */
export async function answered<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw asFailure(error);
  }
}

/** The same; undefined when there is no such thing. */
export async function answeredOrNone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if ((error as { code?: unknown }).code === 404) return undefined;
    throw asFailure(error);
  }
}

function asFailure(error: unknown): Failure {
  const { code, body, message } = error as { code?: number | string; body?: string; message?: string };
  if (typeof code !== 'number') {
    return new Failure(`The cluster can not be reached (${code ?? message?.split('\n')[0] ?? String(error)}).`, EXIT.noServer);
  }
  const said = saidBy(body) ?? `status ${code}`;
  if (code === 401) return new Failure(`The cluster does not know you (${said}): log in, or use another --kube-context.`, EXIT.notAllowed);
  if (code === 403) return new Failure(`The cluster does not let you do this: ${said}.`, EXIT.notAllowed);
  return new Failure(`The cluster says: ${said}.`, code === 404 ? EXIT.notFound : EXIT.noServer);
}

function saidBy(body: string | undefined): string | undefined {
  try {
    return (JSON.parse(body ?? '') as { message?: string }).message;
  } catch {
    return undefined;
  }
}

/** The pods of a namespace that a selector such as `app=frontend` names, by name. @throws Failure */
export async function podsOf(cluster: KubeConfig, namespace: string, labelSelector?: string): Promise<V1Pod[]> {
  const { CoreV1Api } = await import('@kubernetes/client-node');
  const api = cluster.makeApiClient(CoreV1Api);
  const { items } = await answered(api.listNamespacedPod({ namespace, ...(labelSelector === undefined ? {} : { labelSelector }) }));
  return items.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

export function nameOf({ metadata }: { metadata?: { name?: string } }): string {
  return metadata?.name ?? '';
}

/** Whether a pod takes requests. */
export function isReady(pod: V1Pod): boolean {
  const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  return ready && pod.metadata?.deletionTimestamp === undefined;
}
