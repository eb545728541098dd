import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import path from 'node:path';
import { type JsonSchema, policyJsonSchema } from '../../build/docs/schema.ts';
import { readLines } from './files.ts';

/** What takes anything: it is read and ignored. */
const IGNORED = ['status', 'metadata.resourceVersion', 'metadata.createdAt', 'metadata.appliedAt'];

/** What is taken only where there is a Prometheus to ask: test/prometheus has the cases. */
const OF_PROMETHEUS = ['prometheus', 'above', 'below', 'for', 'onNoData'].map((field) => `spec.stopWhen[].${field}`);

interface Written {
  readonly policies: readonly unknown[];
  readonly expect?: object;
  readonly invalid?: readonly string[];
}

const cases = readLines(globSync(path.join(import.meta.dirname, '*.jsonl'))).map(({ value }) => value as Written);

/** The fields of a schema by their paths, such as `spec.rules[].match.path.exact`. */
function fieldsOf(schema: JsonSchema, at: string): string[] {
  if (schema.items !== undefined) return fieldsOf(schema.items, `${at}[]`);
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, part]) => {
    const field = at === '' ? name : `${at}.${name}`;
    return [field, ...fieldsOf(part, field)];
  });
  return [...below, ...(schema.properties === undefined ? (schema.anyOf ?? []).flatMap((branch) => fieldsOf(branch, at)) : [])];
}

/** The paths of all that is written in a document. */
function written(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => written(one, `${at}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => {
    const field = at === '' ? name : `${at}.${name}`;
    return [field, ...written(part, field)];
  });
}

describe('conformance: every field of a policy', () => {
  const fields = [...new Set(fieldsOf(policyJsonSchema(), ''))];

  it('stands in a case whose policies are taken', () => {
    const taken = new Set(
      cases.filter(({ expect }) => expect !== undefined).flatMap(({ policies }) => policies.flatMap((one) => written(one))),
    );
    assert.deepEqual(
      fields.filter((field) => !taken.has(field) && !OF_PROMETHEUS.includes(field)),
      [],
    );
  });

  it('is named by a case whose policies are refused, but for those that take anything', () => {
    const named = cases.flatMap(({ invalid = [] }) => invalid.map((field) => field.replaceAll(/\[\d+\]/g, '[]')));
    const isNamed = (field: string): boolean =>
      named.some((one) => one === field || one.startsWith(`${field}.`) || one.startsWith(`${field}[`));
    assert.deepEqual(
      fields.filter((field) => !isNamed(field) && !IGNORED.includes(field)),
      [],
    );
  });
});
