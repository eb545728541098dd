import type { KubeConfig } from '@kubernetes/client-node';
import { Flags } from '@oclif/core';
import { HfiCommand } from '../base.ts';
import { readContexts } from '../contexts.ts';
import { openCluster } from './cluster.ts';
import { clusterPlace } from './flags.ts';

interface PlaceFlags {
  readonly context?: string | undefined;
  readonly 'kube-context'?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly 'system-namespace'?: string | undefined;
}

/** A command that looks into the cluster itself: the one that the context names, unless flags name another. */
export abstract class ClusterCommand extends HfiCommand {
  static override baseFlags = {
    ...HfiCommand.baseFlags,
    ...clusterPlace,
    'system-namespace': Flags.string({ helpValue: 'NAME', description: "HFI's own namespace [default: the context's, or boifi]" }),
  };

  /** The cluster, and HFI's namespace in it. @throws Failure */
  protected async where(flags: PlaceFlags): Promise<{ cluster: KubeConfig; namespace: string }> {
    const { contexts, current } = readContexts();
    const known = contexts[flags.context ?? current ?? '']?.cluster;
    const cluster = await openCluster({
      kubeconfig: flags.kubeconfig ?? known?.kubeconfig,
      context: flags['kube-context'] ?? known?.context,
    });
    return { cluster, namespace: flags['system-namespace'] ?? known?.namespace ?? 'boifi' };
  }
}
