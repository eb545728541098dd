import { readFileSync } from 'node:fs';
import { LIMITS } from '../../services/policy/limits.ts';
import { generatedFrom } from './markdown.ts';
import { policyJsonSchema } from './schema.ts';
import { sectionsOf } from './schema-tables.ts';

const RULES = new URL('policy-rules.md', import.meta.url);

/** `docs/reference/policy.md`: one table an object, made from the schema, then the rules that no table shows. */
export function policyPage(): string {
  return `${[
    generatedFrom('`services/policy/schema.ts` and `build/docs/policy-rules.md`'),
    '# Policy reference',
    'A policy is a YAML or JSON document. Several can stand in one YAML file, divided by `---`. A field that is not listed here is refused, with the nearest valid one named. [policy.schema.json](policy.schema.json) is the same for editors; in a YAML file, its first line can be:',
    '```yaml\n# yaml-language-server: $schema=../docs/reference/policy.schema.json\n```',
    ...sectionsOf(policyJsonSchema(), 'The document'),
    rules(),
  ].join('\n\n')}\n`;
}

/** The hand-written part; `{{name}}` stands for a limit of the schema. */
function rules(): string {
  return readFileSync(RULES, 'utf8')
    .trim()
    .replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => {
      // A place in a template of a policy, not one of this page.
      if (name === 'method' || name === 'path') return whole;
      const value = Object.entries(LIMITS).find(([key]) => key === name)?.[1];
      if (value === undefined) throw new Error(`policy-rules.md names the limit ${name}, which services/policy/schema.ts doesn't have`);
      return String(value);
    });
}
