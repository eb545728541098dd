import { z } from '@hono/zod-openapi';

/**
 * Objects of which some fields must be given: what is checked here in code is also told to JSON Schema and OpenAPI, by
 * the metadata that each of the two is made from.
 */

/** The schema under its name, which then takes exactly one of the fields. */
export function exactlyOne<Schema extends z.ZodObject>(names: readonly string[], name: string, schema: Schema): Schema {
  return chosen('oneOf', names, name, schema, (given) => {
    if (given.length === 0) return `needs one of: ${names.join(', ')}`;
    if (given.length === 1) return undefined;
    return names.length === 2
      ? `takes one of ${names.join(' and ')}, not both`
      : `takes only one of: ${names.join(', ')}; not ${given.join(' and ')}`;
  });
}

/** The schema under its name, which then takes one or more of the fields. */
export function atLeastOne<Schema extends z.ZodObject>(names: readonly string[], name: string, schema: Schema): Schema {
  return chosen('anyOf', names, name, schema, (given) =>
    given.length === 0 ? `does nothing: needs at least one of: ${names.join(', ')}` : undefined,
  );
}

function chosen<Schema extends z.ZodObject>(
  keyword: 'oneOf' | 'anyOf',
  names: readonly string[],
  name: string,
  schema: Schema,
  complain: (given: readonly string[]) => string | undefined,
): Schema {
  const told = { [keyword]: names.map((field) => ({ required: [field] })) };
  const checked = schema
    .superRefine((value, context) => {
      // Who misspelt a field needn't be told that it is missing.
      if (context.issues.some(({ code, path }) => code === 'unrecognized_keys' && (path ?? []).length === 0)) return;
      const message = complain(names.filter((field) => value[field] !== undefined));
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .openapi(name, told);
  z.globalRegistry.add(checked, told);
  return checked as Schema;
}
