import { nearest } from '../services/policy/nearest.ts';
import { EXIT } from './exit-codes.ts';

/** What an error may carry. Told by shape: a command's file and the entry each have classes of their own. */
interface Told extends Error {
  /** Of a `Failure`. */
  readonly exit?: number;
  /** Of a `Refusal`. */
  readonly errors?: readonly { readonly path: string; readonly message: string; readonly nearest?: string }[];
  /** Of oclif's errors. */
  readonly oclif?: { readonly exit?: number };
  /** Of oclif's error about flags that don't exist. */
  readonly flags?: readonly string[];
}

/**
 * Tells a failure that was to be expected on stderr and sets the exit code.
 *
 * @param command as it is typed, and its flags
 * @returns whether it was one; false is a fault of ours
 */
export function report(error: Error, command: { readonly id: string; readonly flags: readonly string[] }): boolean {
  const told = error as Told;
  const exit = told.name === 'Failure' ? told.exit : told.oclif?.exit;
  if (exit === undefined) return false;
  process.exitCode = exit;
  // oclif's way to end without a word.
  if (told.message.startsWith('EEXIT')) return true;
  const lines = [`error: ${told.name === 'Failure' ? told.message : oclifWords(told, command.flags)}`];
  for (const { path, message, nearest: near } of told.errors ?? []) {
    lines.push(`  ${path}: ${message}${near === undefined ? '' : ` (did you mean ${near}?)`}`);
  }
  if (exit === EXIT.notAllowed) lines.push('Use another token: HFI_TOKEN, --token-file or --context.');
  if (exit === EXIT.usage) lines.push(`See: hfi ${command.id} --help`);
  process.stderr.write(`${lines.join('\n')}\n`);
  return true;
}

/** oclif's message on one line, with the flag that was perhaps meant. */
function oclifWords({ message, flags }: Told, known: readonly string[]): string {
  const text = message
    .replace(/\nSee more help with --help$/, '')
    .replace(/^The following errors? occurred:\s*/, '')
    .replaceAll(/:\s*\n\s*/g, ': ')
    .replaceAll(/\s*\n\s*/g, '; ');
  const hints = (Array.isArray(flags) ? flags : []).map((flag: string) => {
    const near = flag.startsWith('--') ? nearest(flag.slice(2), known) : undefined;
    return near === undefined ? '' : `; did you mean --${near}?`;
  });
  return `${text}${hints.join('')}`;
}
