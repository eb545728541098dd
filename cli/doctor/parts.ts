import type { V1Pod } from '@kubernetes/client-node';
import { isReady, nameOf } from '../cluster/cluster.ts';
import { PARTS, type PartName } from '../cluster/control-plane.ts';
import { type Check, failed, ok, warning } from './check.ts';

/** Whether the pods of each part are ready, and why not. */
export function partChecks(namespace: string, pods: readonly V1Pod[]): Check[] {
  return (Object.keys(PARTS) as PartName[]).flatMap((part) => {
    const own = pods.filter(({ metadata }) => metadata?.labels?.['app.kubernetes.io/name'] === PARTS[part].label);
    const ready = own.filter(isReady).length;
    // An etcd of the user's own has no pod here.
    if (own.length === 0 && part === 'etcd') return [];
    if (own.length === 0)
      return [failed(part, `has no pod in namespace ${namespace}`, 'Run pulumi up, or name another with --system-namespace.')];
    const count = `${ready} of ${own.length} ${own.length === 1 ? 'pod is' : 'pods are'} ready`;
    if (ready === own.length) return [ok(part, count)];
    const why = own.filter((pod) => !isReady(pod)).map((pod) => `${nameOf(pod)}: ${reasonOf(pod)}`);
    const make = ready === 0 ? failed : warning;
    return [make(part, `${count}; ${why.join('; ')}`, `hfi logs ${part}; when that says nothing, the pod's events do.`)];
  });
}

/** Why a pod is not ready, in the cluster's own words. */
function reasonOf({ metadata, status }: V1Pod): string {
  if (metadata?.deletionTimestamp !== undefined) return 'is ending';
  for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    if (state?.waiting !== undefined) return `${name} waits: ${state.waiting.reason ?? ''} ${state.waiting.message ?? ''}`.trim();
    if (state?.terminated !== undefined && state.terminated.exitCode !== 0) return `${name} ended with ${state.terminated.exitCode}`;
  }
  const condition = status?.conditions?.find(({ status: is }) => is === 'False');
  return condition?.message ?? status?.phase ?? 'unknown';
}
