import { HfiCommand } from '../../base.ts';
import { type Client, Refusal, taken } from '../../client.ts';
import { EXIT } from '../../exit-codes.ts';
import { endInWords, phaseInWords } from '../../lifecycle-words.ts';
import { nameArg } from '../../name-arg.ts';
import type { PolicyResource } from '../../policies.ts';
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
    const { policy, rollout } = await this.found(client, args.name);
    if (this.format !== 'table') return this.printValue({ policy, rollout });
    const { metadata, spec, status } = policy;
    this.say(`${metadata.name}  ${phaseInWords(status)}${status.end !== null ? '' : endInTime(status)}`);
    const ended = endInWords(status);
    if (ended !== undefined) this.say(`Ended      ${ended}`);
    if (status.lease !== null) this.say(`Lease      ${spec.lease}, until ${status.lease.until} (${timeLeft(status.lease.until)})`);
    this.say(`Applied    ${metadata.appliedAt}, version ${metadata.resourceVersion}`);
    this.say(`Selects    ${selectorInWords(spec.selector)}, ${spec.direction} requests, priority ${spec.priority}`);
    spec.rules.forEach((rule, i) => {
      const ends = status.rules[i]?.endsAt ?? null;
      this.say(
        `${`Rule ${i}`.padEnd(10)} ${matchInWords(rule.match)}: ${faultInWords(rule.fault)}${ends === null ? '' : `, ends in ${timeLeft(ends)}`}`,
      );
    });
    if (rollout === null) return;
    this.say(`Proxies    ${rollout.acknowledged} of ${rollout.selected} run it`);
    for (const proxy of rollout.proxies)
      this.say(`  ${proxy.acknowledged ? 'runs it ' : 'not yet '} ${proxy.name}${proxy.reason === null ? '' : `  (${proxy.reason})`}`);
    if (rollout.incomplete.length > 0) this.note(`warning: could not ask replica ${rollout.incomplete.join(', ')}`);
  }

  /** The policy with who runs it; of one that is over and gone, its last run. */
  private async found(client: Client, name: string) {
    try {
      const policy = await taken(await client.v1.policies[':name'].$get({ param: { name: encodeURIComponent(name) } }));
      const query = { revision: policy.metadata.resourceVersion, policy: name };
      return { policy, rollout: await taken(await client.v1.rollout.$get({ query, header: { prefer: 'wait=0' } })) };
    } catch (error) {
      if (!(error instanceof Refusal) || error.exit !== EXIT.notFound) throw error;
      const [policy] = (await taken(await client.v1.history.$get({ query: { policy: name, limit: '1' } }))).items;
      if (policy === undefined) throw error;
      return { policy, rollout: null };
    }
  }
}

/** `, no end`, or when and how soon. */
function endInTime({ endsAt }: PolicyResource['status']): string {
  return endsAt === null ? ', no end' : `, ends ${endsAt} (${timeLeft(endsAt)})`;
}
