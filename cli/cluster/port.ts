import { Duplex, PassThrough } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';

/** A port of a pod. */
export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** Opens a connection to a port of a pod through the Kubernetes API. The pod sees it come from itself. @throws Failure */
export async function openPort(cluster: KubeConfig, { namespace, pod, port }: PodPort): Promise<Duplex> {
  const { PortForward } = await import('@kubernetes/client-node');
  const [fromPod, toPod, errors] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const socket = await new PortForward(cluster).portForward(namespace, pod, [port], fromPod, errors, toPod).catch((error: unknown) => {
    const reason = (error as { message?: string }).message ?? String(error);
    throw new Failure(`There is no way to port ${port} of pod ${namespace}/${pod} through the Kubernetes API (${reason}).`, EXIT.noServer);
  });
  if (typeof socket === 'function') throw new Error('a socket that is opened anew each time was not asked for');
  const stream = Duplex.from({ readable: fromPod, writable: toPod });
  errors.once('data', (text: Buffer) => stream.destroy(new Error(text.toString().trim())));
  socket.onclose = () => fromPod.end();
  stream.once('close', () => socket.close());
  return stream;
}
