import type { z } from '@hono/zod-openapi';
import { nearest } from './nearest.ts';

/** What is wrong with one field. */
export interface FieldError {
  /** Where, such as `spec.rules[0].match.path.exakt`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
  /** What may stand there instead. */
  readonly allowed?: string[];
  /** What was probably meant. */
  readonly nearest?: string;
}

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** Turns everything a schema found wrong with `input` into errors that name each field, what may stand there and what was probably meant. */
export function fieldErrors(schema: z.core.$ZodType, issues: readonly Issue[], input: unknown): FieldError[] {
  return issues.flatMap((issue) => explain(schema, issue, input));
}

/** A path as people write it: `spec.rules[0].labels["a.b"]`. */
export function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(String(part))) text += text === '' ? String(part) : `.${String(part)}`;
    else text += `[${JSON.stringify(String(part))}]`;
  }
  return text;
}

function explain(schema: z.core.$ZodType, issue: Issue, input: unknown): FieldError[] {
  const path = pathText(issue.path);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const allowed = fieldsAt(schema, issue.path);
      return issue.keys.map((key) => ({
        path: pathText([...issue.path, key]),
        message: 'is no field here',
        allowed,
        ...optional(nearest(key, allowed)),
      }));
    }
    case 'invalid_value': {
      const allowed = issue.values.map(String);
      const given = valueAt(input, issue.path);
      if (given === undefined) return [{ path, message: 'is missing', allowed }];
      return [{ path, message: `must be ${allowed.join(' or ')}`, allowed, ...optional(nearest(String(given), allowed)) }];
    }
    case 'invalid_type':
      // A schema's own words say more than its type; zod's begin like this.
      if (!issue.message.startsWith('Invalid input')) return [{ path, message: issue.message }];
      return [typeError(path, [issue.expected], valueAt(input, issue.path))];
    case 'invalid_union':
      if (!issue.message.startsWith('Invalid input')) return [{ path, message: issue.message }];
      if (noneMeant(issue)) return [typeError(path, issue.errors.flatMap(typesAtRoot), valueAt(input, issue.path))];
      return branchOf(issue).flatMap((inner) => explain(schema, { ...inner, path: [...issue.path, ...inner.path] }, input));
    case 'too_small':
      return [{ path, message: sizeMessage('at least', issue.minimum, issue.origin, issue.inclusive ?? true) }];
    case 'too_big':
      return [{ path, message: sizeMessage('at most', issue.maximum, issue.origin, issue.inclusive ?? true) }];
    case 'invalid_key':
      return [{ path, message: issue.issues[0]?.message ?? 'is no valid name' }];
    default:
      return [{ path, message: issue.message }];
  }
}

/** The types that a branch of a union wanted in place of what was given. */
function typesAtRoot(issues: readonly Issue[]): string[] {
  return issues.flatMap((issue) => (issue.code === 'invalid_type' && issue.path.length === 0 ? [issue.expected] : []));
}

/** Whether no branch takes what was given for what it is. */
function noneMeant({ errors }: z.core.$ZodIssueInvalidUnion): boolean {
  return errors.length > 0 && errors.every((issues) => typesAtRoot(issues).length > 0);
}

/** What is wrong by the branch that was meant: the first that takes what was given for what it is. */
function branchOf({ errors }: z.core.$ZodIssueInvalidUnion): readonly Issue[] {
  return errors.find((issues) => typesAtRoot(issues).length === 0) ?? [];
}

function optional(value: string | undefined): { nearest?: string } {
  return value === undefined ? {} : { nearest: value };
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: 'an object',
  record: 'an object',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function typeError(path: string, expected: readonly string[], given: unknown): FieldError {
  const wanted = [...new Set(expected.map((type) => TYPE_NAMES[type] ?? type))].join(' or ');
  if (given === undefined) return { path, message: `is missing; it must be ${wanted}` };
  const message = `must be ${wanted}, not ${typeName(given)}`;
  // In YAML a number between quotation marks is a text.
  if (typeof given !== 'string' || !NUMBER.test(given) || !expected.some((type) => NUMBERS.has(type))) return { path, message };
  return { path, message: `${message}: write ${given} without quotation marks`, nearest: given };
}

const NUMBERS: ReadonlySet<string> = new Set(['number', 'int']);
const NUMBER = /^-?[0-9]+(\.[0-9]+)?$/;

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : 'a number with decimals';
  return TYPE_NAMES[typeof value] ?? typeof value;
}

const SIZE_UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' entries', set: ' entries', map: ' entries' };

function sizeMessage(bound: 'at least' | 'at most', limit: number | bigint, origin: string, inclusive: boolean): string {
  const unit = SIZE_UNITS[origin] ?? '';
  const side = inclusive ? bound : bound === 'at least' ? 'more than' : 'less than';
  return unit === ''
    ? `must be ${side} ${limit}`
    : `must have ${side} ${limit}${limit === 1 ? unit.replace(/(ie)?s$/, (end) => (end === 'ies' ? 'y' : '')) : unit}`;
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** Names of the fields that an object of the schema has at a path. */
function fieldsAt(schema: z.core.$ZodType, path: Path): string[] {
  let at: z.core.$ZodType | undefined = schema;
  for (const part of path) at = at === undefined ? undefined : childOf(at, part);
  const object = at === undefined ? undefined : unwrapped(at);
  return object?._zod.def.type === 'object' ? Object.keys((object._zod.def as z.core.$ZodObjectDef).shape) : [];
}

function childOf(schema: z.core.$ZodType, part: PropertyKey): z.core.$ZodType | undefined {
  const { def } = unwrapped(schema)._zod;
  if (def.type === 'object') return (def as z.core.$ZodObjectDef).shape[String(part)];
  if (def.type === 'array') return (def as z.core.$ZodArrayDef).element;
  if (def.type === 'record') return (def as z.core.$ZodRecordDef).valueType;
  return undefined;
}

/** The schema without what makes it optional, gives it a default or changes its value. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod;
  if ('innerType' in def) return unwrapped(def.innerType as z.core.$ZodType);
  if (def.type === 'pipe') {
    const { in: before, out } = def as z.core.$ZodPipeDef;
    return unwrapped(before._zod.def.type === 'transform' ? out : before);
  }
  if (def.type === 'union') {
    const options = (def as z.core.$ZodUnionDef).options.map(unwrapped);
    return options.find(({ _zod }) => _zod.def.type === 'object') ?? schema;
  }
  return schema;
}
