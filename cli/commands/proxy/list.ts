import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { troubleOf } from '../../trouble.ts';

export default class ProxyList extends HfiCommand {
  static override summary = 'List the connected proxies and what they run.';
  static override examples = [{ description: 'Every proxy with its ruleset', command: '<%= config.bin %> proxy list' }];

  async run(): Promise<void> {
    const { flags } = await this.parse(ProxyList);
    this.use(flags);
    const list = await taken(await this.client(flags).v1.proxies.$get({ query: {} }));
    if (list.items.length === 0 && this.format === 'table') this.note('No proxy is connected.');
    else {
      await this.print(list, list.items, [
        { title: 'name', of: ({ name }) => name },
        { title: 'namespace', of: ({ namespace }) => namespace },
        { title: 'service', of: ({ service }) => service },
        { title: 'version', of: ({ version }) => version || '-' },
        { title: 'policies', of: ({ selectedBy }) => selectedBy.join(',') || '-' },
        { title: 'state', of: (proxy) => troubleOf(proxy) ?? 'current' },
      ]);
    }
    if (list.incomplete.length > 0) this.note(`warning: could not ask replica ${list.incomplete.join(', ')}; its proxies are missing here`);
  }
}
