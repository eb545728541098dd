import type { Config } from '@oclif/core';
import { Help } from '@oclif/core/help';
import type { CommandClass } from './command-map.ts';
import { EXIT_MEANINGS } from './exit-codes.ts';

const WIDTH = 110;

/** What `--help` prints of a command: oclif's page, then the exit codes. */
export function commandHelp(command: CommandClass, config: Config): string {
  const page = new Page(config, { maxWidth: WIDTH, stripAnsi: true }).of(command);
  const codes = Object.entries(EXIT_MEANINGS).map(([code, meaning]) => `  ${code}  ${meaning}\n`);
  return `${command.summary ?? ''}\n\n${page}\n\nEXIT CODES\n${codes.join('')}`;
}

/** oclif's page of a command, without asking oclif where commands lie. */
class Page extends Help {
  of(command: CommandClass): string {
    const loadable = {
      ...command,
      id: command.id,
      flags: { ...command.baseFlags, ...command.flags },
      args: Object.fromEntries(Object.entries(command.args ?? {}).map(([name, arg]) => [name, { ...arg, name }])),
      aliases: [],
      hiddenAliases: [],
    };
    return this.formatCommand(loadable as never);
  }
}
