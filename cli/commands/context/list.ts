import { HfiCommand } from '../../base.ts';
import { readContexts } from '../../contexts.ts';

export default class ContextList extends HfiCommand {
  static override summary = 'List the contexts.';
  static override examples = [
    { description: 'Which control planes are known; * marks the current one', command: '<%= config.bin %> context list' },
  ];

  async run(): Promise<void> {
    const { flags } = await this.parse(ContextList);
    this.use(flags);
    const { contexts, current } = readContexts();
    const items = Object.entries(contexts).map(([name, { url }]) => ({ name, url, current: name === current }));
    await this.print({ items }, items, [
      { title: '', of: (one) => (one.current ? '*' : '') },
      { title: 'name', of: ({ name }) => name },
      { title: 'url', of: ({ url }) => url },
    ]);
  }
}
