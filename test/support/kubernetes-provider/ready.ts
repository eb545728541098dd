import { setTimeout as sleep } from 'node:timers/promises';
import type { Manifest, Objects } from '../kubernetes-objects.ts';

const DEFAULT_SECONDS = 300;

/**
 * Waits until an object does its work, as far as its kind says that it does.
 *
 * @returns the object as it is then
 * @throws Error that says why its pods don't start, from their states and events
 */
export async function ready(objects: Objects, applied: Manifest): Promise<Manifest> {
  const seconds = Number(applied.spec?.progressDeadlineSeconds ?? process.env.HFI_TEST_READY_SECONDS ?? DEFAULT_SECONDS);
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const live = await objects.get(applied);
    if (live !== undefined && isReady(live)) return live;
    if (performance.now() > deadline) {
      const { kind, metadata } = applied;
      throw new Error(`${kind} ${metadata.namespace}/${metadata.name} is not ready after ${seconds} s:${await reasons(objects, applied)}`);
    }
    await sleep(100);
  }
}

function isReady({ kind, metadata, spec, status }: Manifest): boolean {
  switch (kind) {
    case 'Namespace':
      return status?.phase === 'Active';
    case 'Deployment':
      return (
        status?.observedGeneration >= metadata.generation &&
        status?.updatedReplicas === spec.replicas &&
        status?.replicas === spec.replicas &&
        status?.availableReplicas === spec.replicas
      );
    case 'StatefulSet':
      return (
        status?.observedGeneration >= metadata.generation &&
        status?.readyReplicas === spec.replicas &&
        status?.updateRevision === status?.currentRevision
      );
    case 'Job':
      return status?.succeeded >= 1;
    default:
      return true;
  }
}

async function reasons(objects: Objects, { metadata, spec }: Manifest): Promise<string> {
  const wanted = Object.entries(spec?.selector?.matchLabels ?? {});
  const pods = (await objects.list('v1', 'Pod', metadata.namespace)).filter((pod) =>
    wanted.every(([key, value]) => pod.metadata.labels?.[key] === value),
  );
  const states = pods.flatMap((pod) =>
    [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].flatMap(({ name, state }) =>
      state?.waiting === undefined ? [] : [`${pod.metadata.name}/${name}: ${state.waiting.reason} ${state.waiting.message ?? ''}`],
    ),
  );
  const events = (await objects.list('v1', 'Event', metadata.namespace))
    .filter(({ type, involvedObject }) => type === 'Warning' && String(involvedObject?.name).startsWith(metadata.name))
    .map(({ involvedObject, reason, message }) => `${involvedObject.name}: ${reason}: ${message}`);
  return [...new Set([...states, ...events])].map((line) => `\n  ${line}`).join('') || '\n  its pods say nothing';
}
