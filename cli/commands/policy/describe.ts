import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { haltInWords, haltsOver, resumeCommand } from '../../halts.ts';
import { nameArg } from '../../name-arg.ts';
import { hitsInWords, proxyInWords, ruleCountsInWords, stateInWords } from '../../policy-counts.ts';
import { timeLeft } from '../../print.ts';
import { faultInWords, matchInWords, selectorInWords } from '../../words.ts';

export default class PolicyDescribe extends HfiCommand {
  static override summary = 'Show a policy in words, whom it selects, who runs it, and how often it hit.';
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
    const counts = await taken(
      await client.v1.policies[':name'].counts.$get({
        param: { name: encodeURIComponent(args.name) },
        query: { revision: policy.metadata.resourceVersion },
      }),
    );
    const { metadata, spec, status } = policy;
    const halts = haltsOver(spec.selector.namespace, (await taken(await client.v1.halt.$get())).halts);
    if (this.format !== 'table') return this.printValue({ policy, rollout, counts, halts });
    this.say(`${metadata.name}  ${stateInWords(status, counts.verdict)}`);
    for (const halt of halts) this.say(`HALTED     ${haltInWords(halt)}; ${resumeCommand(halt)} lets it go on`);
    this.say(`Applied    ${metadata.appliedAt}, version ${metadata.resourceVersion}`);
    this.say(`Selects    ${selectorInWords(spec.selector)}, ${spec.direction} requests, priority ${spec.priority}`);
    spec.rules.forEach((rule, i) => {
      const ends = status.rules[i]?.endsAt ?? null;
      const counted = counts.rules[i];
      this.say(
        `${`Rule ${i}`.padEnd(10)} ${matchInWords(rule.match)}: ${faultInWords(rule.fault)}${ends === null ? '' : `, ends in ${timeLeft(ends)}`}`,
      );
      if (counted !== undefined) for (const line of ruleCountsInWords(counted)) this.say(`           ${line}`);
    });
    for (const why of status.heldBack) this.say(`Held back  ${why}`);
    this.say(`Injected   ${hitsInWords(counts.total, counts.perSecond)}`);
    const only = status.chosen === null ? '' : ', and it is for no others (hfi guardrails)';
    this.say(`Proxies    ${rollout.acknowledged} of ${rollout.selected} run it${only}`);
    const counted = new Map(counts.proxies.map((proxy) => [proxy.name, proxy]));
    for (const proxy of rollout.proxies) this.say(`  ${proxyInWords(proxy, counted.get(proxy.name))}`);
    const connected = new Set(rollout.proxies.map(({ name }) => name));
    for (const proxy of counts.proxies) {
      if (!connected.has(proxy.name)) this.say(`  gone     ${proxy.name}  ${hitsInWords(proxy.counts, proxy.perSecond)}`);
    }
    for (const { name, uncounted } of counts.proxies) {
      if (uncounted > 0) this.note(`warning: ${name} had no room to count ${uncounted} requests by rule; its counts are too small`);
    }
    const missing = [...new Set([...rollout.incomplete, ...counts.incomplete])].sort();
    if (missing.length > 0) this.note(`warning: could not ask replica ${missing.join(', ')}`);
  }
}
