import { code, table } from './markdown.ts';
import type { JsonSchema } from './schema.ts';

const COLUMNS = ['field', 'type', 'default', 'limits', 'what it says'];

/** A section with a table for each object of a schema; those that are the same share one. @param whole the title of the first */
export function sectionsOf(schema: JsonSchema, whole: string): string[] {
  const places = new Map<string, { paths: string[]; schema: JsonSchema }>();
  for (const { path, schema: part } of objectsOf('', schema)) {
    const { properties, required, oneOf, anyOf } = part;
    const key = JSON.stringify({ properties, required, oneOf, anyOf });
    const place = places.get(key) ?? { paths: [], schema: part };
    place.paths.push(path);
    places.set(key, place);
  }
  return [...places.values()].map(({ paths, schema: part }) => section(paths, part, whole));
}

interface Place {
  readonly path: string;
  readonly schema: JsonSchema;
}

/** The object itself, then every object below it, in the order of the document. */
function objectsOf(path: string, schema: JsonSchema): Place[] {
  if (schema.items !== undefined) return objectsOf(`${path}[]`, schema.items);
  if (typeof schema.additionalProperties === 'object') return objectsOf(`${path}.*`, schema.additionalProperties);
  if (schema.properties === undefined) return (schema.anyOf ?? []).flatMap((branch) => objectsOf(path, branch));
  const below = Object.entries(schema.properties).flatMap(([name, part]) => objectsOf(path === '' ? name : `${path}.${name}`, part));
  return [{ path, schema }, ...below];
}

function section(paths: readonly string[], schema: JsonSchema, whole: string): string {
  const rows = Object.entries(schema.properties ?? {}).map(([name, part]) => [
    code(name),
    typeOf(part),
    schema.required?.includes(name) ? '**required**' : part.default === undefined ? '' : code(JSON.stringify(part.default)),
    limitsOf(part),
    part.description ?? '',
  ]);
  const title = `## ${paths.map((path) => (path === '' ? whole : code(path))).join(', ')}`;
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
  if (schema.$ref !== undefined) return schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
  if (schema.items?.$ref !== undefined) return `list of ${typeOf(schema.items)}`;
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(' or ');
  if (schema.const !== undefined) return code(String(schema.const));
  if (schema.anyOf !== undefined && schema.properties === undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.items !== undefined) return 'list';
  if (typeof schema.additionalProperties === 'object') {
    return `map of ${typeOf(schema.additionalProperties).replace(/^(text|object)$/, '$1s')}`;
  }
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
