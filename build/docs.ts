import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiPage } from './docs/api.ts';
import { cliPage } from './docs/cli.ts';
import { guardrailsPage } from './docs/guardrails.ts';
import { lifecyclePage } from './docs/lifecycle.ts';
import { policyPage } from './docs/policy.ts';
import { policySchemaFile } from './docs/schema.ts';
import { stackPage } from './docs/stack.ts';

const ROOT = new URL('../', import.meta.url);

/** Every generated page: its path from the project's root, and what makes its text. */
export const PAGES: ReadonlyMap<string, () => string | Promise<string>> = new Map<string, () => string | Promise<string>>([
  ['docs/reference/api.md', apiPage],
  ['docs/reference/cli.md', cliPage],
  ['docs/reference/guardrails.md', guardrailsPage],
  ['docs/reference/lifecycle.md', lifecyclePage],
  ['docs/reference/policy.md', policyPage],
  ['docs/reference/policy.schema.json', policySchemaFile],
  ['docs/reference/stack.md', stackPage],
]);

/** What stands in a page now, or `undefined` when there is none. */
export function writtenPage(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, ROOT), 'utf8');
  } catch {
    return undefined;
  }
}

/** Writes the pages that changed and says which. */
async function main(): Promise<void> {
  for (const [path, make] of PAGES) {
    const text = await make();
    if (text === writtenPage(path)) continue;
    const file = fileURLToPath(new URL(path, ROOT));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    console.log(`wrote ${path}`);
  }
}

if (import.meta.main) await main();
