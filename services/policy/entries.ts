import { z } from '@hono/zod-openapi';

/** The map with at most so many entries, which JSON Schema and OpenAPI are told as well. */
export function atMostEntries<Schema extends z.ZodRecord>(most: number, schema: Schema): Schema {
  const checked = schema.refine((value) => Object.keys(value).length <= most, `must have at most ${most} entries`);
  const told = { maxProperties: most };
  const named = checked.openapi(told);
  z.globalRegistry.add(named, told);
  return named as Schema;
}
