import { z } from '@hono/zod-openapi';

/** The map with at most so many entries, which JSON Schema and OpenAPI are told as well. */
export function atMostEntries<Schema extends z.ZodRecord>(most: number, schema: Schema): Schema {
  const checked = schema.refine((value) => Object.keys(value).length <= most, `must have at most ${most} entries`);
  const told = { maxProperties: most };
  const named = checked.openapi(told);
  z.globalRegistry.add(named, told);
  return withoutPrototype(named as Schema);
}

/** The map, which refuses the one name that zod leaves out without a word: a selector with it alone would be anybody's. */
export function withoutPrototype<Schema extends z.ZodRecord>(schema: Schema): Schema {
  return z.preprocess((value, context) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, '__proto__')) return value;
    context.addIssue({ code: 'custom', path: ['__proto__'], message: 'is no name here' });
    return z.NEVER;
  }, schema) as unknown as Schema;
}
