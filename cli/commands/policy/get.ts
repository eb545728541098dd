import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { nameArg } from '../../name-arg.ts';

export default class PolicyGet extends HfiCommand {
  static override summary = 'Show a policy as it is kept, with every default filled in.';
  static override description = 'As YAML unless --output json is given.';
  static override examples = [
    { description: 'Show a policy', command: '<%= config.bin %> policy get abort-frontend' },
    { description: 'The same as JSON', command: '<%= config.bin %> policy get abort-frontend -o json' },
  ];
  static override args = { name: nameArg() };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyGet);
    this.use(flags);
    const answer = await this.client(flags).v1.policies[':name'].$get({ param: { name: encodeURIComponent(args.name) } });
    if (this.format === 'table') this.format = 'yaml';
    await this.printValue(await taken(answer));
  }
}
