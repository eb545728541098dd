import type { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { LineCounter, parseAllDocuments } from 'yaml';
import { duplicateKeys } from '../../policy/duplicate-keys.ts';
import { fieldErrors } from '../../policy/problems.ts';
import { asOneDocument } from '../../policy/regex/work.ts';
import type { Env } from './env.ts';
import { Problem } from './problem.ts';

export const MAX_BODY_BYTES = 1024 * 1024;
/** A document with more nodes from aliases than this is an attack, not a policy. */
const MAX_ALIASES = 100;
/** Nobody reads more, and each costs an answer some hundred bytes. */
const MOST_ERRORS = 100;
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/;
const YAML_TYPE = /^(?:application|text)\/(?:x-)?(?:[\w.-]+\+)?yaml$/;

/**
 * Reads a request's body, JSON or YAML by its Content-Type, and checks it with the schema, so that both take the same way.
 *
 * @throws Problem `unsupported-media-type`, `too-large`, `malformed` (with line and column) or `invalid` (with every bad field)
 */
export async function readBody<S extends z.ZodType>(c: Context<Env>, schema: S): Promise<z.output<S>> {
  const type = (c.req.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const isJson = JSON_TYPE.test(type);
  if (!isJson && !YAML_TYPE.test(type)) {
    throw new Problem('unsupported-media-type', 'Content-Type must be application/json or application/yaml.');
  }
  const text = await readText(c);
  return check(schema, isJson ? parseJson(text) : parseYaml(text));
}

/** Checks a value with a schema. @throws Problem `invalid` with every bad field */
export function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = asOneDocument(() => schema.safeParse(value, { reportInput: false }));
  if (result.success) return result.data;
  const all = fieldErrors(schema, result.error.issues, value);
  const errors = all.slice(0, MOST_ERRORS);
  const first = errors[0];
  const more = all.length > 1 ? `, and ${all.length - 1} more` : '';
  throw new Problem('invalid', `${first?.path === '' ? 'The document' : first?.path} ${first?.message}${more}.`, { errors });
}

/** The body as text, refused as soon as it is known to be too long. */
export async function readText(c: Context<Env>, what = 'body', most = MAX_BODY_BYTES): Promise<string> {
  const tooLarge = new Problem('too-large', `The ${what} is longer than ${most} bytes.`);
  if (Number(c.req.header('content-length') ?? 0) > most) throw tooLarge;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    length += chunk.byteLength;
    if (length > most) throw tooLarge;
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new Problem('malformed', 'The body is not UTF-8.');
  }
}

/**
 * Parses JSON. YAML's parser reads it, as YAML is a superset: it says line and column, refuses a key that comes twice, and
 * makes `__proto__` an ordinary key. Whether it is JSON, `JSON.parse` says first.
 */
function parseJson(text: string): unknown {
  try {
    JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Problem('malformed', `The body is not JSON: ${jsonPlace(message, text)}`);
  }
  return parseYaml(text);
}

/** V8 says the position in one of two ways, or not at all when the text ends too early. */
function jsonPlace(message: string, text: string): string {
  const reason = message.replace(/ in JSON at position.*$|, ".*$|\(line.*$/s, '').trim();
  const position = /position (\d+)/.exec(message)?.[1];
  const before = text.slice(0, position === undefined ? text.length : Number(position));
  const line = before.split('\n').length;
  const column = before.length - before.lastIndexOf('\n');
  return `${reason} (line ${line}, column ${column}).`;
}

function parseYaml(text: string): unknown {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, version: '1.2', schema: 'core' });
  if (!Array.isArray(documents) || documents.length === 0) throw new Problem('malformed', 'The body is empty.');
  const [document] = documents;
  if (documents.length > 1) throw new Problem('malformed', 'The body has several documents; send one a request.');
  const wrong = [
    ...(document?.errors ?? []).map(({ pos, message }) => ({ offset: pos[0], message })),
    ...(document === undefined
      ? []
      : duplicateKeys(document).map(({ key, offset }) => ({ offset, message: `The key ${JSON.stringify(key)} is there twice` }))),
  ];
  const errors = wrong.slice(0, MOST_ERRORS).map(({ offset, message }) => {
    const { line, col } = lines.linePos(offset);
    return { path: '', message: `line ${line}, column ${col}: ${message}` };
  });
  const [first] = errors;
  if (first !== undefined) throw new Problem('malformed', `The body is not YAML: ${first.message}`, { errors });
  try {
    return document?.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new Problem('malformed', `The body can not be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
