import { readFileSync } from 'node:fs';
import { makeApp } from '../../services/control-plane/api/app.ts';
import type { Parts } from '../../services/control-plane/api/parts.ts';
import { code, generatedFrom, table } from './markdown.ts';

const INTRODUCTION = new URL('api-introduction.md', import.meta.url);

interface ApiSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, ApiSchema>>;
  readonly required?: readonly string[];
  readonly items?: ApiSchema;
  readonly additionalProperties?: boolean | ApiSchema;
  readonly anyOf?: readonly ApiSchema[];
  readonly oneOf?: readonly ApiSchema[];
}

interface Content {
  readonly [type: string]: { readonly schema?: ApiSchema };
}

interface Operation {
  readonly summary?: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, ApiSchema>> };
}

/** `docs/reference/api.md`: every route of `/openapi.json`, then the shapes of the answers. */
export function apiPage(): string {
  const { paths, components } = openApiDocument();
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => route(method, path, operation)),
  );
  // The parts of the policy and of the guardrails have their reference pages.
  const elsewhere = new Set([...namesIn(components.schemas, 'Policy'), ...namesIn(components.schemas, 'Guardrails')]);
  const shapes = Object.entries(components.schemas).filter(([name]) => !elsewhere.has(name));
  return `${[
    generatedFrom("the API's OpenAPI document and `build/docs/api-introduction.md`"),
    readFileSync(INTRODUCTION, 'utf8').trim(),
    '## Routes',
    ...routes,
    '## Shapes',
    ...shapes.map(([name, schema]) => `### ${name}\n\n${shape(schema)}`),
  ].join('\n\n')}\n`;
}

/** The document that `/openapi.json` answers. No route is called, so the app needs none of its parts. */
function openApiDocument(): ApiDocument {
  const app = makeApp({} as Parts);
  return app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: 'HFI', version: '' } }) as unknown as ApiDocument;
}

function route(method: string, path: string, { summary, security, parameters = [], requestBody, responses }: Operation): string {
  const rows = [
    ...parameters.map((one) => [`${one.in} ${code(one.name)}${one.required === true ? ', needed' : ''}`, one.description ?? '']),
    ...(requestBody === undefined ? [] : [['body', contentOf(requestBody.content)]]),
    ...Object.entries(responses).map(([status, { description, content }]) => [
      `**${status}**`,
      `${description} ${content === undefined ? '' : contentOf(content)}`.trim(),
    ]),
  ];
  const token = security === undefined ? 'No token.' : 'Needs a token.';
  return [`### ${code(`${method.toUpperCase()} ${path}`)}`, `${summary ?? ''} ${token}`, table(['', ''], rows)].join('\n\n');
}

function contentOf(content: Content): string {
  const shapes = [...new Set(Object.values(content).map(({ schema }) => typeOf(schema ?? {})))];
  return `${Object.keys(content).map(code).join(' or ')}: ${shapes.join(' or ')}`;
}

function shape(schema: ApiSchema): string {
  if (schema.properties === undefined) return typeOf(schema);
  const rows = Object.entries(schema.properties).map(([name, part]) => [
    code(name) + (schema.required?.includes(name) ? '' : ', may be missing'),
    typeOf(part),
    part.description ?? '',
  ]);
  return table(['field', 'type', 'what it says'], rows);
}

function typeOf(schema: ApiSchema): string {
  if (schema.$ref !== undefined) return link(schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return choices.map(typeOf).join(' or ');
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(' or ');
  if (schema.const !== undefined) return code(String(schema.const));
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  if (schema.properties !== undefined) {
    return `{ ${Object.entries(schema.properties)
      .map(([name, part]) => `${code(name)}: ${typeOf(part)}`)
      .join(', ')} }`;
  }
  if (typeof schema.additionalProperties === 'object') return `map of ${typeOf(schema.additionalProperties)}`;
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? ['anything']);
  return types.map((type) => (type === 'string' ? 'text' : type)).join(' or ');
}

const PAGES: Readonly<Record<string, string>> = {
  Policy: 'policy.md',
  PolicySpec: 'policy.md',
  Rule: 'policy.md',
  Guardrails: 'guardrails.md',
};

function link(name: string): string {
  return `[${name}](${PAGES[name] ?? `#${name.toLowerCase()}`})`;
}

/** The names of a schema and of all that it refers to. */
function namesIn(schemas: Readonly<Record<string, ApiSchema>>, name: string, found: Set<string> = new Set()): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  for (const [, below = ''] of JSON.stringify(schemas[name] ?? {}).matchAll(/#\/components\/schemas\/(\w+)/g))
    namesIn(schemas, below, found);
  return found;
}
