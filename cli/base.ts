import { Command, Flags } from '@oclif/core';
import { type Client, makeClient, Refusal, type Target } from './client.ts';
import { readContexts, readSecret } from './contexts.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';
import { asTable, type Column, type Format } from './print.ts';

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m)?$/;

/**
 * A flag's duration in milliseconds: `10s`, `500ms`, `2m`; a bare number is seconds.
 *
 * @throws Failure
 */
export function durationMs(flag: string, text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  if (amount === undefined) throw new Failure(`--${flag} is "${text}"; it must be a duration such as 10s, 500ms or 2m.`, EXIT.usage);
  return Number(amount) * { ms: 1, s: 1000, m: 60_000 }[(unit ?? 's') as 'ms' | 's' | 'm'];
}

/** What every command has: the global flags, data on stdout and all else on stderr, and one way to end. */
export abstract class HfiCommand extends Command {
  static override baseFlags = {
    output: Flags.option({ char: 'o', options: ['table', 'json', 'yaml'] as const, default: 'table' as const, helpGroup: 'GLOBAL' })({
      description: 'How data is printed; json and yaml are a contract (docs/schemas).',
    }),
    'control-plane-addr': Flags.string({
      env: 'HFI_CONTROL_PLANE_ADDR',
      helpValue: 'URL',
      helpGroup: 'GLOBAL',
      description: 'Address of the control plane.',
    }),
    token: Flags.string({
      env: 'HFI_TOKEN',
      helpGroup: 'GLOBAL',
      description: 'The token. Others on this machine can see it in the process list: prefer the variable or --token-file.',
    }),
    'token-file': Flags.string({
      helpValue: 'FILE',
      helpGroup: 'GLOBAL',
      description: 'A file with the token, readable by you alone (chmod 600).',
    }),
    context: Flags.string({
      env: 'HFI_CONTEXT',
      helpValue: 'NAME',
      helpGroup: 'GLOBAL',
      description: 'The context to use (hfi context list).',
    }),
    timeout: Flags.string({
      default: '10s',
      helpValue: '10s',
      helpGroup: 'GLOBAL',
      description: 'How long to wait for the control plane, and with --wait for the proxies.',
    }),
    quiet: Flags.boolean({ char: 'q', default: false, helpGroup: 'GLOBAL', description: 'Say nothing on stderr but errors.' }),
  };

  protected quiet = false;
  protected format: Format = 'table';

  /** Notes what all commands have in common. */
  protected use(flags: { readonly quiet: boolean; readonly output: Format }): void {
    this.quiet = flags.quiet;
    this.format = flags.output;
  }

  /** Data, as asked for: a table of `rows`, or `value` as JSON or YAML. */
  protected async print<Row>(value: unknown, rows: readonly Row[], columns: readonly Column<Row>[]): Promise<void> {
    if (this.format === 'table') process.stdout.write(asTable(rows, columns));
    else await this.printValue(value);
  }

  protected async printValue(value: unknown): Promise<void> {
    if (this.format === 'json') process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    else process.stdout.write((await import('yaml')).stringify(value, { aliasDuplicateObjects: false }));
  }

  /** A line of data. */
  protected say(line: string): void {
    process.stdout.write(`${line}\n`);
  }

  /** A line beside the data. */
  protected note(line: string): void {
    if (!this.quiet) process.stderr.write(`${line}\n`);
  }

  /** Where to reach the control plane: flags, then variables, then the context. */
  protected target(flags: TargetFlags): Target {
    const { contexts, current } = readContexts();
    const named = flags.context ?? current;
    const context = named === undefined ? undefined : contexts[named];
    if (flags.context !== undefined && context === undefined) {
      const known = Object.keys(contexts).join(', ') || 'none';
      throw new Failure(`There is no context "${flags.context}"; there are: ${known}. Add one with hfi context add.`, EXIT.usage);
    }
    const url = flags['control-plane-addr'] ?? context?.url;
    if (url === undefined) {
      throw new Failure(
        'No control plane is known: start a sandbox with npm start, add a context with hfi context add, or use --control-plane-addr.',
        EXIT.usage,
      );
    }
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new Failure(`"${url}" is no address of a control plane: write a URL such as http://127.0.0.1:8080.`, EXIT.usage);
    }
    const token =
      tokenFrom(flags) ??
      (flags['control-plane-addr'] === undefined || flags['control-plane-addr'] === context?.url ? context?.token : undefined);
    if (token === undefined) throw new Failure('No token is known: set HFI_TOKEN, or use --token-file or a context.', EXIT.notAllowed);
    return { url, token, timeoutMs: durationMs('timeout', flags.timeout) };
  }

  protected client(flags: TargetFlags): Client {
    return makeClient(this.target(flags));
  }

  protected override async catch(error: Error & { exitCode?: number; oclif?: { exit?: number } }): Promise<unknown> {
    if (error instanceof Refusal) {
      process.stderr.write(`error: ${error.message}\n`);
      for (const one of error.errors.length > 1 || !error.message.includes(error.errors[0]?.path ?? '\0') ? error.errors : []) {
        process.stderr.write(`  ${one.path}: ${one.message}${one.nearest === undefined ? '' : ` (did you mean ${one.nearest}?)`}\n`);
      }
      if (error.exit === EXIT.notAllowed) process.stderr.write('Use another token: HFI_TOKEN, --token-file or --context.\n');
      process.exitCode = error.exit;
      return;
    }
    if (error instanceof Failure) {
      process.stderr.write(`error: ${error.message}\n`);
      process.exitCode = error.exit;
      return;
    }
    if (error.oclif?.exit !== undefined) {
      if (error.message !== '' && error.message !== 'EEXIT: 0' && !error.message.startsWith('EEXIT')) {
        const text = error.message.replace(/\nSee more help with --help$/, '');
        process.stderr.write(`error: ${text}\nSee: hfi ${this.id ?? ''} --help\n`);
      }
      process.exitCode = error.oclif.exit;
      return;
    }
    throw error;
  }
}

export interface TargetFlags {
  readonly 'control-plane-addr'?: string | undefined;
  readonly token?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly context?: string | undefined;
  readonly timeout: string;
}

function tokenFrom(flags: TargetFlags): string | undefined {
  const file = flags['token-file'];
  if (file === undefined) return flags.token;
  const text = readSecret(file)?.trim();
  if (text === undefined || text === '')
    throw new Failure(`The token file ${file} ${text === undefined ? 'is not there' : 'is empty'}.`, EXIT.usage);
  return text;
}
