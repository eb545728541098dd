import { readFileSync } from 'node:fs';
import { LIMITS } from '../../services/policy/schema.ts';
import { code, generatedFrom, table } from './markdown.ts';
import { type JsonSchema, policyJsonSchema } from './schema.ts';

const RULES = new URL('policy-rules.md', import.meta.url);
const COLUMNS = ['field', 'type', 'default', 'limits', 'what it says'];

/** `docs/reference/policy.md`: one table an object, made from the schema, then the rules that no table shows. */
export function policyPage(): string {
  const sections = objectsOf('', policyJsonSchema()).map(({ path, schema }) => section(path, schema));
  return `${[
    generatedFrom('`services/policy/schema.ts` and `build/docs/policy-rules.md`'),
    '# Policy reference',
    'A policy is a YAML or JSON document. Several can stand in one YAML file, divided by `---`. A field that is not listed here is refused, with the nearest valid one named. [policy.schema.json](policy.schema.json) is the same for editors; in a YAML file, its first line can be:',
    '```yaml\n# yaml-language-server: $schema=../docs/reference/policy.schema.json\n```',
    ...sections,
    rules(),
  ].join('\n\n')}\n`;
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

function section(path: string, schema: JsonSchema): string {
  const rows = Object.entries(schema.properties ?? {}).map(([name, part]) => [
    code(name),
    typeOf(part),
    schema.required?.includes(name) ? '**required**' : part.default === undefined ? '' : code(JSON.stringify(part.default)),
    limitsOf(part),
    part.description ?? '',
  ]);
  const title = `## ${path === '' ? 'The document' : code(path)}`;
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
  if (schema.items !== undefined) return 'list';
  if (schema.type === 'object' && schema.properties === undefined) return 'map of texts';
  return schema.type === 'string' ? 'text' : (schema.type ?? '');
}

function limitsOf(schema: JsonSchema): string {
  const range = (low: number | undefined, high: number | undefined, unit: string): string[] => {
    if (low === undefined && high === undefined) return [];
    if (high === undefined) return [`at least ${low}${unit}`];
    return [low === undefined ? `at most ${high}${unit}` : `${low} to ${high}${unit}`];
  };
  return [
    ...range(schema.minimum, schema.maximum, ''),
    ...range(schema.minLength, schema.maxLength, ' characters'),
    ...range(schema.minItems, schema.maxItems, ' entries'),
  ].join(', ');
}

/** The hand-written part; `{{name}}` stands for a limit of the schema. */
function rules(): string {
  return readFileSync(RULES, 'utf8')
    .trim()
    .replaceAll(/\{\{(\w+)\}\}/g, (_whole, name: string) => {
      const value = Object.entries(LIMITS).find(([key]) => key === name)?.[1];
      if (value === undefined) throw new Error(`policy-rules.md names the limit ${name}, which services/policy/schema.ts doesn't have`);
      return String(value);
    });
}
