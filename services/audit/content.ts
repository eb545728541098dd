import { createHash } from 'node:crypto';

/** An audit entry as the API shows it and `hfi audit export` writes it. What other fields it has depends on what it tells of. */
export interface ShownEntry {
  readonly id: string;
  readonly resourceVersion: string;
  readonly [field: string]: unknown;
}

/**
 * The SHA-256, in hexadecimal, of what an entry says: everything but its id and resource version, which stand beside the hash in
 * its seal. So an entry that was put in another's place is known by its hash.
 */
export function contentHash(entry: Omit<ShownEntry, 'id' | 'resourceVersion'>): string {
  const { id: _id, resourceVersion: _version, ...content } = entry;
  return sha256(canonical(content));
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * JSON with the keys of every object in order, so that the same content gives the same text whatever wrote it. Fields without a
 * value are left out, as `JSON.stringify` does.
 */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
}
