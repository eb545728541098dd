import { Flags } from '@oclif/core';

/** The flags that say which cluster, for commands that speak to one. */
export const clusterPlace = {
  'kube-context': Flags.string({ helpValue: 'NAME', description: "The kubeconfig's context; its current one if not given." }),
  kubeconfig: Flags.string({ helpValue: 'FILE', description: 'The kubeconfig; KUBECONFIG or ~/.kube/config if not given.' }),
};

/** HFI's own namespace, as the stack's `systemNamespace` says. */
export const SYSTEM_NAMESPACE = Flags.string({ default: 'boifi', helpValue: 'NAME', description: "HFI's own namespace in the cluster." });
