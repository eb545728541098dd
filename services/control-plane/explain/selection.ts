import type { Selector } from '../../policy/schema.ts';
import { canonicalService, type Identity, OPT_OUT_LABEL, selects } from '../../policy/selector.ts';
import type { Unmet } from './answer.ts';

/** Why a selector doesn't name a workload: each of its parts is asked alone, by what selects for proxies. */

/** @returns the parts that don't name it; none when the selector does */
export function unmetOf(selector: Selector, identity: Identity): Unmet[] {
  if (selects(selector, identity)) return [];
  const { labels = {}, ...names } = selector;
  const parts = [
    ...Object.entries(names).map(([name, value]) => ({
      path: `spec.selector.${name}`,
      alone: { [name]: value },
      has: nameIn(identity, name),
    })),
    ...Object.entries(labels).map(([name, value]) => ({
      path: `spec.selector.labels[${JSON.stringify(name)}]`,
      alone: { labels: { [name]: value } },
      has: labelIn(identity, name),
    })),
  ];
  return parts.filter(({ alone }) => !selects(alone, identity)).map(({ path, alone, has }) => ({ path, wants: alone, has }));
}

function nameIn(identity: Identity, name: string): string | null {
  if (name === 'namespace') return identity.namespace;
  return name === 'workload' ? identity.workload : canonicalService(identity);
}

function labelIn({ labels }: Identity, name: string): string | null {
  return Object.hasOwn(labels, name) ? (labels[name] ?? null) : null;
}

/** Why no policy can select a workload, whatever it says. */
export function beyondPolicies(identity: Identity): string | null {
  if (identity.namespace === '') return 'it can not say in which namespace it is';
  return selects({}, identity) ? null : `it carries the label ${OPT_OUT_LABEL}: ${labelIn(identity, OPT_OUT_LABEL)}`;
}
