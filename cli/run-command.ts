import type { Config } from '@oclif/core';
import { COMMANDS, type CommandClass } from './command-map.ts';
import { report } from './report.ts';

/** Runs one oclif command, or shows its help. */
export async function runCommand(name: string, argv: string[], version: string): Promise<void> {
  const load = COMMANDS[name];
  if (load === undefined) throw new Error(`no command ${name}`);
  const command = (await load()).default as CommandClass;
  command.id = name;
  const config = configuration(version);
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  if (flags.includes('--help') || flags.includes('-h')) {
    const { commandHelp } = await import('./help.ts');
    process.stdout.write(commandHelp(command, config));
    return;
  }
  const running = new command(argv, config) as unknown as { _run(): Promise<void> };
  try {
    await running._run();
  } catch (error) {
    // A command's own handler may end it with an error as well.
    if (!(error instanceof Error) || !report(error, { id: name, flags: [] })) throw error;
  }
}

/**
 * What commands and their help ask of oclif's configuration. oclif's own reads plugins and manifests from the disk, which costs more
 * time than most commands; here is neither, and so nobody to call a hook of.
 */
function configuration(version: string): Config {
  const config = {
    bin: 'hfi',
    name: 'hfi',
    version,
    userAgent: `hfi/${version}`,
    topicSeparator: ' ',
    pjson: { oclif: {} },
    plugins: new Map(),
    commandIDs: [],
    findCommand: () => undefined,
    topics: [],
    runHook: async () => ({ successes: [], failures: [] }),
    scopedEnvVar: () => undefined,
    scopedEnvVarTrue: () => false,
    scopedEnvVarKey: (key: string) => `HFI_${key}`,
    scopedEnvVarKeys: (key: string) => [`HFI_${key}`],
  };
  return config as unknown as Config;
}
