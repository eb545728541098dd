import { code, table } from './markdown.ts';
import type { JsonSchema } from './schema.ts';

const COLUMNS = ['field', 'type', 'default', 'limits', 'what it says'];

/** A section with a table for each object of a schema. @param whole the title of the first */
export function sectionsOf(schema: JsonSchema, whole: string): string[] {
  return objectsOf('', schema).map(({ path, schema: part }) => section(path, part, whole));
}

interface Place {
  readonly path: string;
  readonly schema: JsonSchema;
}

/** The object itself, then every object below it, in the order of the document. */
function objectsOf(path: string, schema: JsonSchema): Place[] {
  if (schema.items !== undefined) return objectsOf(`${path}[]`, schema.items);
  if (schema.properties === undefined) return [];
  const below = Object.entries(schema.properties).flatMap(([name, part]) => objectsOf(path === '' ? name : `${path}.${name}`, part));
  return [{ path, schema }, ...below];
}

function section(path: string, schema: JsonSchema, whole: string): string {
  const rows = Object.entries(schema.properties ?? {}).map(([name, part]) => [
    code(name),
    typeOf(part),
    schema.required?.includes(name) ? '**required**' : part.default === undefined ? '' : code(JSON.stringify(part.default)),
    limitsOf(part),
    part.description ?? '',
  ]);
  const title = `## ${path === '' ? whole : code(path)}`;
  return [title, table(COLUMNS, rows), ...choiceOf(schema)].join('\n\n');
}

function choiceOf(schema: JsonSchema): string[] {
  const names = (choices: JsonSchema[]): string =>
    choices
      .flatMap((choice) => choice.required ?? [])
      .map(code)
      .join(', ');
  if (schema.oneOf !== undefined) return [`Exactly one of ${names(schema.oneOf)}.`];
  if (schema.anyOf !== undefined) return [`At least one of ${names(schema.anyOf)}.`];
  return [];
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(' or ');
  if (schema.const !== undefined) return code(String(schema.const));
  if (schema.anyOf !== undefined && schema.properties === undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.items !== undefined) return 'list';
  if (schema.type === 'object' && schema.properties === undefined) return 'map of texts';
  return schema.type === 'string' ? (schema.format ?? 'text') : (schema.type ?? '');
}

function limitsOf(schema: JsonSchema): string {
  const range = (low: number | undefined, high: number | undefined, unit: string): string[] => {
    if (low === undefined && high === undefined) return [];
    if (high === undefined) return [low === 1 && unit !== '' ? 'not empty' : `at least ${low}${unit}`];
    return [low === undefined ? `at most ${high}${unit}` : `${low} to ${high}${unit}`];
  };
  return [
    ...(schema.limits === undefined ? [] : [schema.limits]),
    ...range(schema.minimum, schema.maximum, ''),
    ...range(schema.minLength, schema.maxLength, ' characters'),
    ...range(schema.minItems, schema.maxItems, ' entries'),
  ].join(', ');
}
