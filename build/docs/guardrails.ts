import { readFileSync } from 'node:fs';
import { z } from '@hono/zod-openapi';
import { guardrails, OF_ALL } from '../../services/policy/guardrails.ts';
import { generatedFrom } from './markdown.ts';
import type { JsonSchema } from './schema.ts';
import { sectionsOf } from './schema-tables.ts';

const NOTES = new URL('guardrails-notes.md', import.meta.url);

/** `docs/reference/guardrails.md`: the fields, from their schema, then what no table shows. */
export function guardrailsPage(): string {
  const schema = z.toJSONSchema(guardrails, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const { namespaces, ...general } = schema.properties ?? {};
  const own = typeof namespaces?.additionalProperties === 'object' ? namespaces.additionalProperties : {};
  // What a namespace may have of its own are the same fields, which the table has already.
  const missing = Object.keys(general).filter((name) => own.properties?.[name] === undefined && !OF_ALL.some((one) => one === name));
  if (missing.length > 0) throw new Error(`a namespace can have no ${missing.join(', ')} of its own`);
  return `${[
    generatedFrom('`services/policy/guardrails.ts` and `build/docs/guardrails-notes.md`'),
    '# Guardrails',
    'What no policy may go beyond, whoever applies it. They are set where the control plane is configured: `hfi:guardrails` of the stack, or a file, JSON or YAML, that `HFI_GUARDRAILS_FILE` names. `hfi guardrails` shows what is in force.',
    ...sectionsOf(schema, 'The fields'),
    readFileSync(NOTES, 'utf8').trim(),
  ].join('\n\n')}\n`;
}
