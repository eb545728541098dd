import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Env } from './env.ts';

/** The page shows nothing that isn't in the API's own document, and loads nothing from anywhere else. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface OpenApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    name: string;
    in: string;
    required?: boolean;
    description?: string;
    schema?: { description?: string };
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: unknown }>> };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Readonly<Record<string, unknown>> }>>;
}

/** A readable page of `/openapi.json`. */
export function docsRoutes(document: () => OpenApiDocument) {
  const route = createRoute({
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    summary: 'This API as a page to read.',
    tags: ['status'],
    responses: { 200: { description: 'HTML.', content: { 'text/html': { schema: z.string() } } } },
  });
  let page: string | undefined;
  return new OpenAPIHono<Env>().openapi(route, (c) => {
    page ??= render(document());
    c.header('content-security-policy', POLICY);
    c.header('x-content-type-options', 'nosniff');
    return c.html(page, 200);
  });
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { overflow: auto; padding: .75rem; border: 1px solid #8884; border-radius: 6px }
section { border-top: 1px solid #8886; padding: .5rem 0 1rem }
h2 .method { display: inline-block; min-width: 4.5rem; text-transform: uppercase; color: #b3541e }
table { border-collapse: collapse; width: 100% } td { padding: .2rem .6rem .2rem 0; vertical-align: top }
td:first-child { white-space: nowrap }
`;

function render({ info, paths = {}, components }: OpenApiDocument): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => renderOperation(path, method, operation)),
  );
  const schemas = Object.entries(components?.schemas ?? {}).map(
    ([name, schema]) =>
      `<section id="schema-${escaped(name)}"><h2>${escaped(name)}</h2><pre>${escaped(JSON.stringify(schema, null, 2))}</pre></section>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(info.title)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(info.title)} ${escaped(info.version)}</h1><p>${withCode(info.description ?? '')}</p>
<p>The same for programs: <a href="openapi.json">openapi.json</a></p>
${operations.join('\n')}<h1>Schemas</h1>${schemas.join('\n')}</body></html>`;
}

function renderOperation(path: string, method: string, operation: Operation): string {
  const rows = [
    ...(operation.security === undefined ? [] : [['token', 'needs a bearer token']]),
    ...(operation.parameters ?? []).map((parameter) => [
      `${parameter.in} ${parameter.name}${parameter.required === true ? ' (needed)' : ''}`,
      parameter.description ?? parameter.schema?.description ?? '',
    ]),
    ...Object.entries(operation.requestBody?.content ?? {}).map(([type, { schema }]) => ['body', `${type}: ${schemaName(schema)}`]),
    ...Object.entries(operation.responses).map(([status, { description }]) => [status, description]),
  ];
  const cells = rows.map(([left = '', right = '']) => `<tr><td><code>${escaped(left)}</code></td><td>${withCode(right)}</td></tr>`);
  return `<section id="${escaped(operation.operationId ?? '')}"><h2><code><span class="method">${escaped(method)}</span> ${escaped(path)}</code></h2>
<p>${withCode(operation.summary ?? '')}</p><table>${cells.join('')}</table></section>`;
}

function schemaName(schema: unknown): string {
  const ref = typeof schema === 'object' && schema !== null && '$ref' in schema ? String(schema.$ref) : '';
  return ref.slice(ref.lastIndexOf('/') + 1);
}

function withCode(text: string): string {
  return escaped(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
