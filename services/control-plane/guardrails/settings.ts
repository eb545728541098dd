import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { type Guardrails, guardrails } from '../../policy/guardrails.ts';
import { fieldErrors } from '../../policy/problems.ts';
import { ConfigError, type Environment } from '../environment.ts';

/**
 * The guardrails of the file that `HFI_GUARDRAILS_FILE` names, JSON or YAML.
 *
 * @returns undefined when none is named
 * @throws ConfigError that names every wrong field: a control plane with half of its guardrails must not run
 */
export function readGuardrails({ HFI_GUARDRAILS_FILE: file }: Environment): Guardrails | undefined {
  if (file === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigError(`HFI_GUARDRAILS_FILE can not be read: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
  }
  const result = guardrails.safeParse(parsed);
  if (result.success) return result.data;
  const errors = fieldErrors(guardrails, result.error.issues, parsed).map(
    ({ path, message, nearest }) => `${path === '' ? 'it' : path} ${message}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`,
  );
  throw new ConfigError(`HFI_GUARDRAILS_FILE: ${errors.join('; ')}`);
}
