import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ROOT } from './hfi.ts';

const FOLDER = join(ROOT, 'docs', 'schemas');

/**
 * What of a value isn't as `docs/schemas/<name>.json` says; empty when it fits.
 *
 * @param name the file's name without `.json`
 */
export function misfits(name: string, value: unknown): string[] {
  const schema = z.fromJSONSchema(whole(join(FOLDER, `${name}.json`)) as Parameters<typeof z.fromJSONSchema>[0]);
  const { error } = schema.safeParse(value);
  return error === undefined ? [] : error.issues.map(({ path, message }) => `${path.join('.') || 'the whole'}: ${message}`);
}

/** The schema of a file with what it refers to put in its place: the files refer to one another, zod knows one document. */
function whole(file: string, pointer = ''): unknown {
  const steps = pointer.split('/').filter((step) => step !== '');
  const part = steps.reduce<unknown>(
    (at, step) => (at as Record<string, unknown> | undefined)?.[step],
    JSON.parse(readFileSync(file, 'utf8')),
  );
  if (part === undefined) throw new Error(`${file} has no ${pointer}`);
  return filled(part, dirname(file));
}

function filled(value: unknown, folder: string): unknown {
  if (Array.isArray(value)) return value.map((one) => filled(one, folder));
  if (typeof value !== 'object' || value === null) return value;
  const { $ref } = value as { $ref?: unknown };
  if (typeof $ref === 'string') {
    const [file = '', pointer] = $ref.split('#');
    return whole(join(folder, file), pointer);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, folder)]));
}
