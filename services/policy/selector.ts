import type { Selector } from './schema.ts';

/** What a proxy says of the workload that it stands before. */
export interface Identity {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The labels that name a service, in the order in which Istio asks them (istio `pkg/model`, canonical service). */
const SERVICE_LABELS = ['service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app'] as const;

/** Istio's canonical service name of a workload. */
export function canonicalService(identity: Identity): string {
  for (const label of SERVICE_LABELS) {
    const value = identity.labels[label];
    if (value !== undefined && value !== '') return value;
  }
  return identity.workload;
}

const accepts = (wanted: string | undefined, actual: string): boolean => wanted === undefined || wanted === '*' || wanted === actual;

/** A workload that carries this label with the value `disabled` is never faulted, whatever a policy says. */
export const OPT_OUT_LABEL = 'hfi.dev/faults';

/** Whether a policy's selector names this workload. */
export function selects(selector: Selector, identity: Identity): boolean {
  if (Object.hasOwn(identity.labels, OPT_OUT_LABEL) && identity.labels[OPT_OUT_LABEL] === 'disabled') return false;
  if (!accepts(selector.namespace, identity.namespace)) return false;
  if (!accepts(selector.workload, identity.workload)) return false;
  if (!accepts(selector.service, canonicalService(identity))) return false;
  for (const [name, wanted] of Object.entries(selector.labels ?? {})) {
    const actual = Object.hasOwn(identity.labels, name) ? identity.labels[name] : undefined;
    if (actual === undefined || !accepts(wanted, actual)) return false;
  }
  return true;
}
