import type { Duplex } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { type ClusterPlace, isReady, nameOf, openCluster, podsOf } from './cluster.ts';
import { openPort } from './port.ts';

/** Where in which cluster a control plane is. */
export interface InCluster extends ClusterPlace {
  /** HFI's own namespace. */
  readonly namespace: string;
}

/** The parts of the stack, as their label `app.kubernetes.io/name` says them, with the port that they serve on. */
export const PARTS = {
  'control-plane': { label: 'hfi-control-plane', port: 8080 },
  'wasm-server': { label: 'wasm-server', port: 8080 },
  etcd: { label: 'hfi-etcd', port: 2379 },
} as const;
export type PartName = keyof typeof PARTS;

/** A ready pod of a part. @throws Failure that says what is there instead */
export async function readyPodOf(cluster: KubeConfig, namespace: string, part: PartName): Promise<string> {
  const pods = await podsOf(cluster, namespace, `app.kubernetes.io/name=${PARTS[part].label}`);
  const ready = pods.find(isReady);
  if (ready !== undefined) return nameOf(ready);
  const found = pods.length === 0 ? 'none is there' : `${pods.map(nameOf).join(', ')} ${pods.length === 1 ? 'is' : 'are'} not`;
  throw new Failure(`No pod of the ${part} is ready in namespace ${namespace}: ${found}. See: hfi doctor`, EXIT.noServer);
}

let opened: { readonly of: InCluster; readonly cluster: Promise<KubeConfig>; readonly pod: Promise<string> } | undefined;

/** A connection to the control plane of a cluster; the pod is looked up once. @throws Failure */
export async function connect(place: InCluster): Promise<Duplex> {
  if (opened?.of !== place) {
    const cluster = openCluster(place);
    opened = { of: place, cluster, pod: cluster.then((known) => readyPodOf(known, place.namespace, 'control-plane')) };
  }
  const { cluster, pod } = opened;
  try {
    return await openPort(await cluster, { namespace: place.namespace, pod: await pod, port: PARTS['control-plane'].port });
  } catch (error) {
    // The next one looks again: the pod may be gone.
    opened = undefined;
    throw error;
  }
}
