import { z } from '@hono/zod-openapi';
import { policy } from '../../services/policy/schema.ts';

/** The parts of a JSON Schema that the models use. */
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
  /** What kind of text it is, in words. */
  format?: string;
  /** Limits that JSON Schema has no words for, in words. */
  limits?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: boolean | JsonSchema;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
}

/** A match inside a match: the one part of a policy that can hold itself. */
export const NESTED_MATCH = 'NestedMatch';

/** The policy as a JSON Schema (draft 2020-12), as people write it: with defaults left out. For editors, and for the reference. */
export function policyJsonSchema(): JsonSchema {
  const { $defs = {}, ...document } = z.toJSONSchema(policy, { io: 'input' }) as JsonSchema;
  const [inner, ...others] = Object.entries($defs);
  if (inner === undefined || others.length > 0) throw new Error('the policy schema no longer has exactly one part that holds itself');
  // What holds itself gets a number for a name.
  const named = JSON.stringify({ title: 'HFI fault policy', ...document, $defs: { [NESTED_MATCH]: inner[1] } });
  return JSON.parse(named.replaceAll(`#/$defs/${inner[0]}`, `#/$defs/${NESTED_MATCH}`)) as JsonSchema;
}

/** `docs/reference/policy.schema.json`. */
export function policySchemaFile(): string {
  return `${JSON.stringify(policyJsonSchema(), null, 2)}\n`;
}
