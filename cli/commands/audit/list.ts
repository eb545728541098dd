import { Flags } from '@oclif/core';
import { auditFilters, auditQuery, howInWords } from '../../audit-query.ts';
import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { whatIsHalted } from '../../halts.ts';

interface About {
  readonly policy: string;
  readonly halt?: Parameters<typeof whatIsHalted>[0] | undefined;
  readonly token?: string | undefined;
}

function about({ policy, halt, token }: About): string {
  if (halt !== undefined) return whatIsHalted(halt);
  return token === undefined ? policy : `token/${token}`;
}

export default class AuditList extends HfiCommand {
  static override summary = 'Show who changed what, newest first.';
  static override examples = [
    { description: 'The last five changes', command: '<%= config.bin %> audit list --limit 5' },
    { description: 'What was done to one policy this week', command: '<%= config.bin %> audit list --policy abort-frontend --since 7d' },
  ];
  static override flags = {
    limit: Flags.integer({ min: 1, max: 100, default: 20, helpValue: 'N', description: 'At most so many.' }),
    cursor: Flags.string({ description: 'Where to go on: the nextCursor of the page before.' }),
    ...auditFilters,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(AuditList);
    this.use(flags);
    const query = { ...auditQuery(flags), limit: String(flags.limit), ...(flags.cursor === undefined ? {} : { cursor: flags.cursor }) };
    const page = await taken(await this.client(flags).v1.audit.$get({ query }));
    await this.print(page, page.items, [
      { title: 'time', of: ({ time }) => time },
      { title: 'who', of: ({ actor }) => `${actor.name} (${actor.role})` },
      { title: 'from', of: ({ address }) => address },
      { title: 'action', of: ({ action }) => action },
      { title: 'about', of: (entry) => about(entry) },
      { title: 'how', of: howInWords },
    ]);
    if (page.nextCursor !== null && this.format === 'table') this.note(`More: the same command with --cursor ${page.nextCursor}`);
  }
}
