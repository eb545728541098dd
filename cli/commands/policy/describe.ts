import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { haltInWords, haltsOver, resumeCommand } from '../../halts.ts';
import { nameArg } from '../../name-arg.ts';
import { timeLeft } from '../../print.ts';
import { faultInWords, matchInWords, selectorInWords } from '../../words.ts';

export default class PolicyDescribe extends HfiCommand {
  static override summary = 'Show a policy in words, whom it selects and who runs it.';
  static override examples = [{ description: 'Who is hit, and until when', command: '<%= config.bin %> policy describe abort-frontend' }];
  static override args = { name: nameArg() };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyDescribe);
    this.use(flags);
    const client = this.client(flags);
    const policy = await taken(await client.v1.policies[':name'].$get({ param: { name: encodeURIComponent(args.name) } }));
    const rollout = await taken(
      await client.v1.rollout.$get({
        query: { revision: policy.metadata.resourceVersion, policy: args.name },
        header: { prefer: 'wait=0' },
      }),
    );
    const { metadata, spec, status } = policy;
    const halts = haltsOver(spec.selector.namespace, (await taken(await client.v1.halt.$get())).halts);
    if (this.format !== 'table') return this.printValue({ policy, rollout, halts });
    this.say(
      `${metadata.name}  ${status.state}${status.endsAt === null ? ', no end' : `, ends ${status.endsAt} (${timeLeft(status.endsAt)})`}`,
    );
    for (const halt of halts) this.say(`HALTED     ${haltInWords(halt)}; ${resumeCommand(halt)} lets it go on`);
    this.say(`Applied    ${metadata.appliedAt}, version ${metadata.resourceVersion}`);
    this.say(`Selects    ${selectorInWords(spec.selector)}, ${spec.direction} requests, priority ${spec.priority}`);
    spec.rules.forEach((rule, i) => {
      const ends = status.rules[i]?.endsAt ?? null;
      this.say(
        `${`Rule ${i}`.padEnd(10)} ${matchInWords(rule.match)}: ${faultInWords(rule.fault)}${ends === null ? '' : `, ends in ${timeLeft(ends)}`}`,
      );
    });
    this.say(`Proxies    ${rollout.acknowledged} of ${rollout.selected} run it`);
    for (const proxy of rollout.proxies)
      this.say(`  ${proxy.acknowledged ? 'runs it ' : 'not yet '} ${proxy.name}${proxy.reason === null ? '' : `  (${proxy.reason})`}`);
    if (rollout.incomplete.length > 0) this.note(`warning: could not ask replica ${rollout.incomplete.join(', ')}`);
  }
}
