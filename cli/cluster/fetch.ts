import type { KubeConfig } from '@kubernetes/client-node';
import { type Answer, ask } from '../ask.ts';
import { openPort, type PodPort } from './port.ts';

const PATIENCE_MS = 10_000;

/** Asks an HTTP port of a pod through the Kubernetes API; the pod sees it come from itself, past its sidecar. @throws Failure, Error */
export async function fetchFromPod(cluster: KubeConfig, where: PodPort, path: string): Promise<Answer> {
  const stream = await openPort(cluster, where);
  try {
    return await ask(`http://localhost${path}`, { headers: [['connection', 'close']] }, PATIENCE_MS, stream);
  } finally {
    stream.destroy();
  }
}
