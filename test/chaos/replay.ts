import type { PolicyInput } from '../../services/policy/schema.ts';
import type { EtcdKeys, RawPair } from '../support/etcd-keys.ts';
import { specOf, type Write } from './writers.ts';

/** An entry of the audit as it lies in etcd. */
interface Entry {
  readonly action: string;
  readonly policy: string;
  readonly token?: string;
  readonly halt?: { readonly namespace: string; readonly reason: string };
  readonly after: PolicyInput['spec'] | null;
}

interface Written extends Entry {
  readonly revision: number;
}

/** What judges the state that is left: sentences, one for each thing that is wrong. */
export interface Judgement {
  readonly entries: number;
  readonly acknowledged: number;
  readonly unknown: number;
  /** Writes without an answer that were done all the same. */
  readonly unknownDone: number;
  readonly lost: readonly string[];
  readonly halfDone: readonly string[];
  readonly double: readonly string[];
}

const BY_NAME: Readonly<Record<string, Write['action']>> = {
  create: 'apply',
  replace: 'apply',
  delete: 'delete',
  'create-token': 'create-token',
  'revoke-token': 'revoke-token',
  halt: 'halt',
  resume: 'resume',
};

/**
 * Compares what etcd has with what the writers were told. The audit is read as a log: done again from its beginning it must give the very state
 * that is there, since a change and its entry are one transaction and so of one revision.
 *
 * @param theirs tells the entries of the writers from those of others
 */
export async function judge(keys: EtcdKeys, writes: readonly Write[], theirs: (name: string) => boolean): Promise<Judgement> {
  const entries = (await keys.under('/hfi/audit/'))
    .map((pair): Written => ({ ...(JSON.parse(pair.value) as Entry), revision: pair.revision }))
    .filter((entry) => entry.action in BY_NAME && theirs(nameOf(entry)))
    .toSorted((one, other) => one.revision - other.revision);
  return { ...(await againstState(keys, entries, theirs)), ...againstWrites(entries, writes), entries: entries.length };
}

function nameOf({ policy, token, halt }: Entry): string {
  return token ?? halt?.namespace ?? policy;
}

async function againstState(
  keys: EtcdKeys,
  entries: readonly Written[],
  theirs: (name: string) => boolean,
): Promise<Pick<Judgement, 'halfDone'>> {
  const there = new Map<string, RawPair>();
  for (const prefix of ['/hfi/policies/', '/hfi/principals/', '/hfi/halt/ns/']) {
    for (const pair of await keys.under(prefix)) {
      const name = pair.key.slice(prefix.length);
      if (theirs(name)) there.set(name, pair);
    }
  }
  const replayed = new Map<string, Written>();
  let ended = 0;
  for (const entry of entries) {
    if (entry.action === 'replace' || entry.action === 'delete') ended++;
    if (['delete', 'revoke-token', 'resume'].includes(entry.action)) replayed.delete(nameOf(entry));
    else replayed.set(nameOf(entry), entry);
  }
  const halfDone: string[] = [];
  for (const [name, { revision, value }] of there) {
    const entry = replayed.get(name);
    if (entry === undefined) halfDone.push(`${name} is there, by the audit it is not`);
    else if (entry.revision !== revision) halfDone.push(`${name} is of revision ${revision}, its entry of ${entry.revision}`);
    else if (entry.after !== null && entry.token === undefined) {
      const { policy } = JSON.parse(value) as { policy: { spec: { priority: number } } };
      if (policy.spec.priority !== entry.after.priority) halfDone.push(`${name} is not what its entry says`);
    }
  }
  for (const name of replayed.keys()) if (!there.has(name)) halfDone.push(`${name} is not there, by the audit it is`);
  const history = (await keys.under('/hfi/ended/')).filter(({ value }) => theirs(JSON.parse(value).policy.metadata.name));
  if (history.length !== ended) halfDone.push(`${ended} runs were ended, the history has ${history.length}`);
  return { halfDone };
}

function againstWrites(entries: readonly Written[], writes: readonly Write[]): Omit<Judgement, 'entries' | 'halfDone'> {
  const [lost, double]: [string[], string[]] = [[], []];
  const count = { acknowledged: 0, unknown: 0, unknownDone: 0 };
  const entriesOf = Map.groupBy(entries, (entry) => nameOf(entry));
  /** Removals carry no mark, so those without an answer are only bounded: by name, and by what was asked. */
  for (const [key, same] of Map.groupBy(writes, ({ action, of }) => `${action} ${of}`)) {
    const [{ action, of } = { action: 'apply', of: '' } as const] = same;
    const found = (entriesOf.get(of) ?? []).filter((entry) => BY_NAME[entry.action] === action);
    const done = same.filter(({ outcome }) => outcome === 'done');
    const open = same.filter(({ outcome }) => outcome === 'unknown');
    for (const write of done) if (!found.some((entry) => isOf(entry, write))) lost.push(`${key}, ${write.mark}`);
    if (found.length > done.length + open.length) double.push(`${key}: ${done.length} done, ${open.length} open, ${found.length} entries`);
    const marks = found.map(({ after, halt }) => after?.priority ?? halt?.reason);
    if ((action === 'apply' || action === 'halt') && new Set(marks).size !== marks.length) double.push(`${key}: one write twice`);
    count.acknowledged += done.length;
    count.unknown += open.length;
    count.unknownDone += found.length - done.length;
  }
  const asked = new Set(writes.map(({ action, of }) => `${action} ${of}`));
  for (const entry of entries) {
    const key = `${BY_NAME[entry.action]} ${nameOf(entry)}`;
    if (!asked.has(key)) double.push(`${key}: nobody asked for it`);
  }
  return { ...count, lost, double };
}

function isOf(entry: Written, { action, mark, revision }: Write): boolean {
  if (action === 'apply') return entry.revision === revision && entry.after?.priority === specOf(mark).priority;
  if (action === 'halt') return entry.halt?.reason === String(mark);
  return revision === undefined || entry.revision === revision;
}
