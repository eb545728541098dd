import { Flags } from '@oclif/core';
import { HfiCommand } from '../base.ts';
import { taken } from '../client.ts';

export default class Audit extends HfiCommand {
  static override summary = 'Show who changed what, newest first.';
  static override examples = [{ description: 'The last five changes', command: '<%= config.bin %> audit --limit 5' }];
  static override flags = {
    limit: Flags.integer({ min: 1, max: 100, default: 20, helpValue: 'N', description: 'At most so many.' }),
    cursor: Flags.string({ description: 'Where to go on: the nextCursor of the page before.' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Audit);
    this.use(flags);
    const query = { limit: String(flags.limit), ...(flags.cursor === undefined ? {} : { cursor: flags.cursor }) };
    const page = await taken(await this.client(flags).v1.audit.$get({ query }));
    await this.print(page, page.items, [
      { title: 'time', of: ({ time }) => time },
      { title: 'who', of: ({ actor }) => `${actor.name} (${actor.role})` },
      { title: 'from', of: ({ address }) => address },
      { title: 'action', of: ({ action }) => action },
      { title: 'policy', of: ({ policy, token }) => (token === undefined ? policy : `token/${token}`) },
    ]);
    if (page.nextCursor !== null && this.format === 'table')
      this.note(`More: hfi audit --limit ${flags.limit} --cursor ${page.nextCursor}`);
  }
}
