import { z } from '@hono/zod-openapi';
import { abort, delay, fault, headerMatch, policy, stringMatch } from '../../services/policy/schema.ts';

/** The parts of a JSON Schema that the policy model uses. */
export interface JsonSchema {
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: boolean | JsonSchema;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
}

const requireEach = (names: readonly string[]): JsonSchema[] => names.map((name) => ({ required: [name] }));

/** Choices that zod checks in code and that its JSON Schema would otherwise not show. */
const CHOICES = new Map<unknown, { keyword: 'oneOf' | 'anyOf'; names: readonly string[] }>([
  [stringMatch, { keyword: 'oneOf', names: ['exact', 'prefix'] }],
  [headerMatch, { keyword: 'oneOf', names: ['exact', 'prefix'] }],
  [delay, { keyword: 'oneOf', names: ['fixed_delay', 'fixed_delay_ms'] }],
  [abort, { keyword: 'oneOf', names: ['httpStatus', 'grpcStatus'] }],
  [fault, { keyword: 'anyOf', names: ['delay', 'abort'] }],
]);

/** The policy as a JSON Schema (draft 2020-12), as people write it: with defaults left out. For editors, and for the reference. */
export function policyJsonSchema(): JsonSchema {
  const schema: JsonSchema = z.toJSONSchema(policy, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      // `optional()` and `describe()` wrap or copy a schema; what it was made of stays the same.
      for (const [known, { keyword, names }] of CHOICES) {
        if (isMadeFrom(zodSchema, known)) jsonSchema[keyword] = requireEach(names) as typeof jsonSchema.oneOf & object;
      }
    },
  }) as JsonSchema;
  return { title: 'HFI fault policy', ...schema };
}

function isMadeFrom(schema: unknown, known: unknown): boolean {
  return shapeOf(schema) !== undefined && shapeOf(schema) === shapeOf(known);
}

function shapeOf(schema: unknown): unknown {
  return schema instanceof z.ZodObject ? schema.def.shape : undefined;
}

/** `docs/reference/policy.schema.json`. */
export function policySchemaFile(): string {
  return `${JSON.stringify(policyJsonSchema(), null, 2)}\n`;
}
