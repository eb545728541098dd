import { Flags } from '@oclif/core';
import { HfiCommand, type TargetFlags } from '../base.ts';
import { asLines, exitOf, lookAround } from '../overview.ts';

export default class Status extends HfiCommand {
  static override summary = 'Show on one screen how everything is.';
  static override description =
    'With --watch it stays and shows every change as it happens, until Ctrl-C. Where there is no terminal, or with --output json, it writes the events one a line instead.';
  static override examples = [
    { description: 'Is all well?', command: '<%= config.bin %> status' },
    { description: 'The same, live', command: '<%= config.bin %> status --watch' },
    { description: 'What happens, for a program', command: '<%= config.bin %> status --watch -o json' },
  ];
  static override flags = {
    watch: Flags.boolean({ char: 'w', default: false, description: 'Stay, and show every change as it happens.' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Status);
    this.use(flags);
    if (flags.watch) return this.watch(flags);
    const overview = await lookAround(this.client(flags), this.target(flags).url);
    process.exitCode = exitOf(overview);
    if (this.format !== 'table') return this.printValue(overview);
    for (const line of asLines(overview)) this.say(line);
    if (overview.incomplete.length > 0) this.note(`warning: could not ask replica ${overview.incomplete.join(', ')}`);
  }

  private async watch(flags: TargetFlags): Promise<void> {
    const { showEvents, watchScreen } = await import('../watch.ts');
    const target = this.target(flags);
    if (this.format === 'table' && process.stdout.isTTY) return watchScreen(target, process.stdout);
    return showEvents(target, this.format, (text) => void process.stdout.write(text));
  }
}
