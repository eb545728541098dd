import type { types } from '@pulumi/kubernetes';

/** What the Pod Security level "restricted" asks of a pod, and a user that is nobody. */
export function restrictedPod(user: number): types.input.core.v1.PodSecurityContext {
  return { runAsNonRoot: true, runAsUser: user, runAsGroup: user, fsGroup: user, seccompProfile: { type: 'RuntimeDefault' } };
}

/** What it asks of a container; the root file system is read-only besides. */
export const restrictedContainer: types.input.core.v1.SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};
