import type { types } from '@pulumi/kubernetes';

/** Nobody, and above the numbers that a node's own users have. */
const USER = 10_001;

/** What the Pod Security level "restricted" asks of a pod. */
export const restrictedPod: types.input.core.v1.PodSecurityContext = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  fsGroup: USER,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** What it asks of a container; the root file system is read-only besides. */
export const restrictedContainer: types.input.core.v1.SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};
