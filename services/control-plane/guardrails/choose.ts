import type { Limits } from './limits.ts';

/** A connected proxy, as far as it matters which of several a policy is for. */
export interface Candidate {
  readonly name: string;
  readonly namespace: string;
  /** Istio's canonical service name. */
  readonly service: string;
}

/**
 * The proxies that a policy is for where guardrails limit how many: the same ones whoever chooses, and in whatever order they are known.
 *
 * @returns their names in order; undefined when the policy is for all that it selects
 */
export function chosenOf(candidates: readonly Candidate[], { maxProxies, oneProxyOfEachService }: Limits): string[] | undefined {
  if (maxProxies === undefined && oneProxyOfEachService !== true) return undefined;
  const sorted = candidates.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  if (oneProxyOfEachService !== true) return sorted.map(({ name }) => name);
  const first = new Map<string, string>();
  for (const { name, namespace, service } of sorted) {
    const key = `${namespace}/${service}`;
    if (!first.has(key)) first.set(key, name);
  }
  return [...first.values()].sort();
}
