import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { ROOT } from './hfi.ts';

const DOCS = join(ROOT, 'docs');
/** The files refer to one another by relative paths; this stands for `docs/`. */
const BASE = 'docs:/';

/** All schemas, each under its path in `docs/`. Formats are for readers: what is printed comes from the API, which checks them. */
const ajv = new Ajv2020({ allErrors: true, validateFormats: false, strict: true, allowUnionTypes: true, strictRequired: false });
for (const file of [...readdirSync(join(DOCS, 'schemas')).map((name) => `schemas/${name}`), 'reference/policy.schema.json']) {
  ajv.addSchema(JSON.parse(readFileSync(join(DOCS, file), 'utf8')), BASE + file);
}

/**
 * What of a value isn't as `docs/schemas/<name>.json` says; empty when it fits.
 *
 * @param name the file's name without `.json`
 */
export function misfits(name: string, value: unknown): string[] {
  const validate = ajv.getSchema(`${BASE}schemas/${name}.json`);
  if (validate === undefined) throw new Error(`there is no docs/schemas/${name}.json`);
  if (validate(value) === true) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath}: ${message} ${JSON.stringify(params)}`);
}
