import type { types } from '@pulumi/kubernetes';
import { podSelector } from './labels.ts';

/** Replicas of a part go to different nodes and zones where there are such; where there are none, they run all the same. */
export function spread(part: string): Pick<types.input.core.v1.PodSpec, 'affinity' | 'topologySpreadConstraints'> {
  const labelSelector = { matchLabels: podSelector(part) };
  const nodes = 'kubernetes.io/hostname';
  return {
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: { topologyKey: nodes, labelSelector } }],
      },
    },
    topologySpreadConstraints: [nodes, 'topology.kubernetes.io/zone'].map((topologyKey) => ({
      maxSkew: 1,
      topologyKey,
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector,
    })),
  };
}
