import type { KubeConfig } from '@kubernetes/client-node';
import type { Context } from '../contexts.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { answered, answeredOrNone, openCluster } from './cluster.ts';
import { type InCluster, PARTS } from './control-plane.ts';

const NAME = PARTS['control-plane'].label;

/** The context of what is installed in a cluster, with the administrator's token out of its Secret. @throws Failure */
export async function contextInCluster(place: InCluster): Promise<{ name: string; context: Context }> {
  const cluster = await openCluster(place);
  const context = cluster.getCurrentContext();
  return {
    name: context,
    context: {
      url: `http://${NAME}.${place.namespace}.svc.cluster.local:${PARTS['control-plane'].port}`,
      token: await tokenIn(cluster, place.namespace),
      // By name: what is current in the kubeconfig may change.
      cluster: { ...place, context },
    },
  };
}

async function tokenIn(cluster: KubeConfig, namespace: string): Promise<string> {
  const { AppsV1Api, CoreV1Api } = await import('@kubernetes/client-node');
  const deployment = await answeredOrNone(cluster.makeApiClient(AppsV1Api).readNamespacedDeployment({ name: NAME, namespace }));
  if (deployment === undefined) {
    throw new Failure(
      `HFI is not installed in namespace ${namespace}: run pulumi up, or name another with --system-namespace.`,
      EXIT.notFound,
    );
  }
  const name = deployment.spec?.template.spec?.volumes?.find((volume) => volume.name === 'tokens')?.secret?.secretName ?? '';
  const secret = await answered(cluster.makeApiClient(CoreV1Api).readNamespacedSecret({ name, namespace }));
  const tokens = JSON.parse(Buffer.from(secret.data?.['tokens.json'] ?? '', 'base64').toString()) as { role: string; token: string }[];
  const admin = tokens.find(({ role }) => role === 'admin');
  if (admin === undefined) throw new Failure(`The Secret ${name} has no token of an administrator.`, EXIT.notFound);
  return admin.token;
}
