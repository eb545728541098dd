import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from '@oclif/core';
import { code, generatedFrom, table } from './markdown.ts';

const COMMANDS = new URL('../../cli/commands/', import.meta.url);
const INTRODUCTION = new URL('cli-introduction.md', import.meta.url);

type CommandClass = typeof Command;
type Flag = CommandClass['flags'][string];

/** `docs/reference/cli.md`: every command with its arguments, flags and examples. */
export async function cliPage(): Promise<string> {
  const folder = fileURLToPath(COMMANDS);
  const files = globSync('**/*.ts', { cwd: folder }).sort();
  const sections = await Promise.all(files.map(async (file) => section(nameOf(file), await commandIn(file))));
  return `${[
    generatedFrom('the commands in `cli/commands/` and `build/docs/cli-introduction.md`'),
    readFileSync(INTRODUCTION, 'utf8').trim(),
    ...sections,
  ].join('\n\n')}\n`;
}

/** `policy/apply.ts` is `policy apply`. */
function nameOf(file: string): string {
  return file.replace(/(\/index)?\.ts$/, '').replaceAll('/', ' ');
}

async function commandIn(file: string): Promise<CommandClass> {
  const module: { default?: CommandClass } = await import(new URL(file, COMMANDS).href);
  if (module.default === undefined) throw new Error(`cli/commands/${file} has no command`);
  return module.default;
}

function section(name: string, command: CommandClass): string {
  const args = Object.entries(command.args ?? {});
  const flags = Object.entries({ ...command.baseFlags, ...command.flags }).filter(([, flag]) => flag.hidden !== true);
  const usage = ['hfi', name, ...args.map(([arg, { required }]) => (required === true ? arg.toUpperCase() : `[${arg.toUpperCase()}]`))];
  return [
    `## ${code(usage.join(' '))}`,
    [command.summary, command.description]
      .filter((text) => text !== undefined)
      .map((text) => filled(text, name))
      .join('\n\n'),
    ...(args.length === 0
      ? []
      : [
          table(
            ['argument', ''],
            args.map(([arg, { description }]) => [code(arg.toUpperCase()), filled(description ?? '', name)]),
          ),
        ]),
    ...(flags.length === 0
      ? []
      : [
          table(
            ['flag', 'default', ''],
            flags.map(([flag, about]) => flagRow(flag, about, name)),
          ),
        ]),
    examples(command, name),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

function flagRow(name: string, flag: Flag, command: string): string[] {
  const value =
    flag.type === 'boolean'
      ? ''
      : ` ${'options' in flag && flag.options !== undefined ? flag.options.join('|') : (flag.helpValue ?? 'VALUE')}`;
  const long = flag.type === 'boolean' && flag.allowNo === true ? `--[no-]${name}` : `--${name}`;
  const from = flag.env === undefined ? '' : ` Also ${code(flag.env)}.`;
  const fallback = ['string', 'number', 'boolean'].includes(typeof flag.default) ? code(String(flag.default)) : '';
  const text = flag.summary ?? flag.description ?? '';
  return [
    code(`${flag.char === undefined ? '' : `-${flag.char}, `}${long}${value}`),
    flag.required === true ? '**required**' : fallback,
    filled(text, command) + from,
  ];
}

function examples(command: CommandClass, name: string): string {
  const lines = (command.examples ?? []).flatMap((example) =>
    typeof example === 'string' ? example.split('\n') : [`# ${example.description}`, ...example.command.split('\n')],
  );
  return lines.length === 0 ? '' : `\`\`\`\n${lines.map((line) => filled(line, name)).join('\n')}\n\`\`\``;
}

/** Fills in the two templates that oclif's texts use. */
function filled(text: string, name: string): string {
  return text.replaceAll('<%= config.bin %>', 'hfi').replaceAll('<%= command.id %>', name).replaceAll('<%= config.topicSeparator %>', ' ');
}
