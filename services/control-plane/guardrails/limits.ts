import type { Guardrails, OF_ALL } from '../../policy/guardrails.ts';

/** What holds for the policies of one namespace. */
export type Limits = Partial<Omit<Guardrails, 'namespaces' | (typeof OF_ALL)[number]>>;

/** Kubernetes' own namespaces and the mesh's. The control plane's is a setting. */
const SYSTEM = /^(kube-.*|istio-system)$/;

/** The same for people to read. */
export const SYSTEM_NAMESPACES: readonly string[] = ['kube-*', 'istio-system'];

/** Where guardrails stand that nobody has written: nothing but the system's namespaces is refused. */
export const NONE: Guardrails = { requireEnd: false };

/** The general guardrails, and in the place of each the namespace's own. @param namespace undefined for a selector that names none */
export function limitsOf({ namespaces, maxInjectionsPerSecond: _ofAll, ...general }: Guardrails, namespace: string | undefined): Limits {
  const own = namespace !== undefined && namespaces !== undefined && Object.hasOwn(namespaces, namespace) ? namespaces[namespace] : {};
  const lifted = Object.entries({ ...general, ...given(own ?? {}) }).filter(([, value]) => value !== null);
  return Object.fromEntries(lifted) as Limits;
}

/** Fields that say nothing must not hide the general ones. */
function given(own: object): object {
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
}

/** Whether it is a namespace of the system, in which nothing is faulted unless `namespaces` names it. @param own the control plane's */
export function isSystem(namespace: string, own: string | undefined): boolean {
  return namespace === own || SYSTEM.test(namespace);
}

/** Whether a proxy of this namespace may get any fault. */
export function isOpen({ namespaces }: Guardrails, namespace: string, own: string | undefined): boolean {
  return namespaces === undefined ? !isSystem(namespace, own) : Object.hasOwn(namespaces, namespace);
}
