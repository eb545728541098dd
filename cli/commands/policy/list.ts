import { Flags } from '@oclif/core';
import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { haltInWords, isHalted, resumeCommand } from '../../halts.ts';
import { allPolicies } from '../../policies.ts';
import { timeLeft } from '../../print.ts';

export default class PolicyList extends HfiCommand {
  static override summary = 'List the policies.';
  static override examples = [
    { description: 'All policies', command: '<%= config.bin %> policy list' },
    { description: 'Their names, for a script', command: "<%= config.bin %> policy list -o json | jq -r '.items[].metadata.name'" },
  ];
  static override flags = {
    limit: Flags.integer({ min: 1, max: 1000, helpValue: 'N', description: 'At most so many; all if not given.' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(PolicyList);
    this.use(flags);
    const client = this.client(flags);
    const [items, { halts }] = await Promise.all([
      allPolicies((query) => client.v1.policies.$get({ query }).then((answer) => taken(answer)), flags.limit),
      client.v1.halt.$get().then((answer) => taken(answer)),
    ]);
    for (const halt of halts) this.note(`halted: ${haltInWords(halt)}; nothing is injected there until ${resumeCommand(halt)}`);
    if (items.length === 0 && this.format === 'table')
      this.note('There are no policies. Apply one: hfi policy apply -f examples/abort-policy.yaml');
    else {
      await this.print({ items, halts }, items, [
        { title: 'name', of: ({ metadata }) => metadata.name },
        { title: 'namespace', of: ({ spec }) => spec.selector.namespace ?? '*' },
        { title: 'service', of: ({ spec }) => spec.selector.service ?? '*' },
        { title: 'direction', of: ({ spec }) => spec.direction },
        { title: 'rules', of: ({ spec }) => String(spec.rules.length) },
        {
          title: 'state',
          of: ({ spec, status }) => (status.state === 'active' && isHalted(spec.selector.namespace, halts) ? 'halted' : status.state),
        },
        { title: 'ends in', of: ({ status }) => timeLeft(status.endsAt) },
      ]);
    }
  }
}
