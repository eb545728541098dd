import { Config, Help } from '@oclif/core';
import { COMMANDS, type CommandClass } from './command-map.ts';

/** oclif's configuration without plugins: there is nobody to call a hook of. */
class PluginlessConfig extends Config {
  override async runHook(): Promise<never> {
    return { successes: [], failures: [] } as never;
  }
}

/** Runs one oclif command, or shows its help, with a configuration that is made here instead of read from the disk. */
export async function runCommand(name: string, argv: string[], version: string): Promise<void> {
  const load = COMMANDS[name];
  if (load === undefined) throw new Error(`no command ${name}`);
  const command = (await load()).default as CommandClass;
  command.id = name;
  const config = configuration(version);
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  if (flags.includes('--help') || flags.includes('-h')) {
    await showHelp(command, config);
    return;
  }
  const running = new command(argv, config) as unknown as { _run(): Promise<void> };
  await running._run();
}

function configuration(version: string): Config {
  const config = new PluginlessConfig({ root: import.meta.dirname });
  Object.assign(config, { bin: 'hfi', name: 'hfi', version, userAgent: `hfi/${version}`, topicSeparator: ' ', pjson: { oclif: {} } });
  return config;
}

async function showHelp(command: CommandClass, config: Config): Promise<void> {
  const { EXIT_MEANINGS } = await import('./exit-codes.ts');
  class CommandHelp extends Help {
    show(): string {
      const loadable = {
        ...command,
        id: command.id,
        flags: { ...command.baseFlags, ...command.flags },
        args: command.args,
        aliases: [],
        hiddenAliases: [],
      };
      return this.formatCommand(loadable as never);
    }
  }
  process.stdout.write(`${command.summary ?? ''}\n\n${new CommandHelp(config, { maxWidth: 110, stripAnsi: true }).show()}\n\nEXIT CODES\n`);
  for (const [code, meaning] of Object.entries(EXIT_MEANINGS)) process.stdout.write(`  ${code}  ${meaning}\n`);
}
