import type { Identity } from '../../policy/selector.ts';

/** Reads `key=value,key=value`. Label values can't hold a comma or an equals sign, so nothing is escaped. */
export function readLabels(text: string): Record<string, string> {
  const labels: [string, string][] = [];
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=');
    if (at > 0) labels.push([pair.slice(0, at).trim(), pair.slice(at + 1).trim()]);
  }
  // fromEntries defines own properties, so a label named `__proto__` is only a label.
  return Object.fromEntries(labels);
}

/** The same text for the same workload, whatever the order of its labels. */
export function identityKey(identity: Identity): string {
  const labels = Object.entries(identity.labels).sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  return JSON.stringify([identity.namespace, identity.workload, labels]);
}

/** What a poll says of where its proxy stands, and what of that could not be read. */
interface Standing extends Identity {
  readonly unreadable: readonly string[];
}

/** Whether two polls say the same of where their proxy stands. */
export function isSameStanding(one: Standing, other: Standing): boolean {
  if (one.namespace !== other.namespace || one.workload !== other.workload) return false;
  if (one.unreadable.length > 0 !== other.unreadable.length > 0) return false;
  const names = Object.keys(one.labels);
  return names.length === Object.keys(other.labels).length && names.every((name) => one.labels[name] === other.labels[name]);
}
