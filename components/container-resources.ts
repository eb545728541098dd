import type { types } from '@pulumi/kubernetes';

type Amount = readonly [asked: string, most: string];

/** Space for the logs of a container, which the kubelet keeps on the node: 5 files of 10 MiB unless it is told otherwise. */
const DISK: Amount = ['16Mi', '256Mi'];

/**
 * What a container asks of its node and may have at most, in Kubernetes' quantities. The limit of the processor is far above
 * what is needed: it only keeps a container that runs wild from its neighbours.
 */
export function containerResources(cpu: Amount, memory: Amount): types.input.core.v1.ResourceRequirements {
  return {
    requests: { cpu: cpu[0], memory: memory[0], 'ephemeral-storage': DISK[0] },
    limits: { cpu: cpu[1], memory: memory[1], 'ephemeral-storage': DISK[1] },
  };
}
