import { nearest } from './nearest.ts';
import type { Selector } from './schema.ts';
import { canonicalService, type Identity, OPT_OUT_LABEL, selects } from './selector.ts';

/** How one part of a selector is read in an identity. */
interface Part {
  /** As the author of the policy wrote it. */
  readonly field: string;
  readonly wanted: string;
  readonly of: (identity: Identity) => string | undefined;
}

/**
 * Why a selector names none of these workloads, for its author: the parts that fit nothing, with what was probably meant; or that each
 * fits something, but never the same workload.
 *
 * @returns nothing when it names one, and when there are no workloads to compare with
 */
export function nearMisses(selector: Selector, workloads: readonly Identity[]): string[] {
  if (workloads.length === 0 || workloads.some((identity) => selects(selector, identity))) return [];
  const parts = partsOf(selector);
  const alone = parts.filter((part) => !workloads.some((identity) => fits(part, identity)));
  if (alone.length > 0) return alone.map((part) => fitsNothing(part, workloads));
  const optedOut = workloads.filter((identity) => parts.every((part) => fits(part, identity)));
  if (optedOut.length > 0) return [`every proxy that it names has the label ${OPT_OUT_LABEL}: disabled, which keeps all faults away`];
  const listed = parts.map(({ field, wanted }) => `${field} ${JSON.stringify(wanted)}`).join(' and ');
  return [`${listed} each match proxies, but no proxy matches ${parts.length === 2 ? 'both' : 'all'}`];
}

function partsOf({ namespace, service, workload, labels = {} }: Selector): Part[] {
  const parts: (Omit<Part, 'wanted'> & { wanted: string | undefined })[] = [
    { field: 'namespace', wanted: namespace, of: (identity) => identity.namespace },
    { field: 'service', wanted: service, of: canonicalService },
    { field: 'workload', wanted: workload, of: (identity) => identity.workload },
    ...Object.entries(labels).map(([name, wanted]) => ({
      field: `label ${name}`,
      wanted,
      of: (identity: Identity) => (Object.hasOwn(identity.labels, name) ? identity.labels[name] : undefined),
    })),
  ];
  return parts.flatMap(({ wanted, ...part }) => (wanted === undefined ? [] : [{ ...part, wanted }]));
}

function fits({ wanted, of }: Part, identity: Identity): boolean {
  const actual = of(identity);
  return actual !== undefined && (wanted === '*' || wanted === actual);
}

function fitsNothing({ field, wanted, of }: Part, workloads: readonly Identity[]): string {
  const there = [...new Set(workloads.flatMap((identity) => of(identity) ?? []))].filter((value) => value !== '').sort();
  const meant = nearest(wanted, there);
  const hint = meant === undefined ? known(there) : `; did you mean ${JSON.stringify(meant)}?`;
  return `${field} ${JSON.stringify(wanted)} matches no proxy${hint}`;
}

/** Nobody reads more names than this. */
const MOST_NAMES = 8;

function known(names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `; there ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, MOST_NAMES).join(', ')}${more}`;
}
