import { Flags } from '@oclif/core';
import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { resultInWords } from '../../lifecycle-words.ts';
import { optionalNameArg } from '../../name-arg.ts';

export default class PolicyHistory extends HfiCommand {
  static override summary = 'List what is over: each run of a policy, how it ended and why, the latest first.';
  static override description = 'A policy that is applied again is another run. With --output json each run has the spec that it had.';
  static override examples = [
    { description: 'The last runs of all policies', command: '<%= config.bin %> policy history' },
    { description: 'Those of one, with their specs', command: '<%= config.bin %> policy history abort-frontend -o yaml' },
  ];
  static override args = { name: optionalNameArg() };
  static override flags = {
    limit: Flags.integer({ min: 1, max: 100, default: 20, helpValue: 'N', description: 'At most so many.' }),
    cursor: Flags.string({ description: 'Where to go on: the nextCursor of the page before.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyHistory);
    this.use(flags);
    const query = {
      limit: String(flags.limit),
      ...(args.name === undefined ? {} : { policy: args.name }),
      ...(flags.cursor === undefined ? {} : { cursor: flags.cursor }),
    };
    const page = await taken(await this.client(flags).v1.history.$get({ query }));
    if (page.items.length === 0 && this.format === 'table') this.note('No run has ended yet.');
    else {
      await this.print(page, page.items, [
        { title: 'name', of: ({ metadata }) => metadata.name },
        { title: 'applied', of: ({ metadata }) => metadata.appliedAt },
        { title: 'ended', of: ({ status }) => status.end?.at ?? '' },
        { title: 'reason', of: ({ status }) => status.end?.reason ?? '' },
        { title: 'injected', of: ({ status }) => resultInWords(status) },
        { title: 'by', of: ({ status }) => status.end?.by.name ?? '' },
        { title: 'why', of: ({ status }) => status.end?.why ?? '' },
      ]);
    }
    if (page.nextCursor !== null && this.format === 'table') this.note(`More: the same command with --cursor ${page.nextCursor}`);
  }
}
