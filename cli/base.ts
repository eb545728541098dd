import { Command, Flags } from '@oclif/core';
import { type Client, makeClient, type Target } from './client.ts';
import { readContexts, readSecret } from './contexts.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';
import { asTable, type Column, type Format } from './print.ts';
import { report } from './report.ts';

/** Node's timers count to 24.8 days; nobody waits for a day. */
const LONGEST_MS = 86_400_000;
/** As in a bearer credential: printable ASCII. */
const TOKEN = /^[\x21-\x7e]+$/;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m)?$/;

/**
 * A flag's duration in milliseconds: `10s`, `500ms`, `2m`; a bare number is seconds.
 *
 * @throws Failure
 */
export function durationMs(flag: string, text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  const ms = Number(amount) * { ms: 1, s: 1000, m: 60_000 }[(unit ?? 's') as 'ms' | 's' | 'm'];
  if (amount === undefined || ms === 0 || ms > LONGEST_MS) {
    throw new Failure(`--${flag} is "${text}"; it must be a duration above 0 and up to 24 h, such as 10s, 500ms or 2m.`, EXIT.usage);
  }
  return ms;
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
    const context = named !== undefined && Object.hasOwn(contexts, named) ? contexts[named] : undefined;
    if (flags.context !== undefined && context === undefined) {
      const known = Object.keys(contexts).join(', ') || 'none';
      throw new Failure(`There is no context "${flags.context}"; there are: ${known}. Add one with hfi context add.`, EXIT.usage);
    }
    // What is typed wins over variables: --context names both the address and the token, unless these are typed too.
    const byContext = this.isTyped('context');
    const address = byContext && !this.isTyped('control-plane-addr') ? undefined : flags['control-plane-addr'];
    const typedToken = byContext && !this.isTyped('token') ? undefined : flags.token?.trim() || undefined;
    const url = address ?? context?.url;
    if (url === undefined) {
      throw new Failure(
        'No control plane is known: start a sandbox with npm start, add a context with hfi context add, or use --control-plane-addr.',
        EXIT.noServer,
      );
    }
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new Failure(`"${url}" is no address of a control plane: write a URL such as http://127.0.0.1:8080.`, EXIT.usage);
    }
    const token =
      tokenFrom(flags['token-file']) ??
      typedToken ??
      // A context's token is for its own control plane alone.
      (address === undefined || address === context?.url ? context?.token : undefined);
    if (token === undefined) throw new Failure('No token is known: set HFI_TOKEN, or use --token-file or a context.', EXIT.notAllowed);
    if (!TOKEN.test(token)) {
      throw new Failure('The token has a space, a line break or another character that no token has; see that it is one line.', EXIT.usage);
    }
    const cluster = url === context?.url ? context.cluster : undefined;
    return { url, token, cluster, timeoutMs: durationMs('timeout', flags.timeout) };
  }

  private isTyped(flag: string): boolean {
    return this.argv.some((word) => word === `--${flag}` || word.startsWith(`--${flag}=`));
  }

  protected client(flags: TargetFlags): Client {
    return makeClient(this.target(flags));
  }

  protected override async catch(error: Error): Promise<unknown> {
    const flags = Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags });
    if (report(error, { id: this.id ?? '', flags })) return;
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

function tokenFrom(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const text = readSecret(file)?.trim();
  if (text === undefined || text === '')
    throw new Failure(`The token file ${file} ${text === undefined ? 'is not there' : 'is empty'}.`, EXIT.usage);
  return text;
}
