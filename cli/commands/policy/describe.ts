import { HfiCommand } from '../../base.ts';
import { type Client, Refusal, taken } from '../../client.ts';
import { EXIT } from '../../exit-codes.ts';
import { haltInWords, haltsOver, resumeCommand } from '../../halts.ts';
import { endInWords, phaseInWords, untilInWords } from '../../lifecycle-words.ts';
import { nameArg } from '../../name-arg.ts';
import { lastRun } from '../../policies.ts';
import { hitsInWords, proxyInWords, ruleCountsInWords, verdictInWords } from '../../policy-counts.ts';
import { timeLeft } from '../../print.ts';
import { standingInWords, stopInWords } from '../../stop-words.ts';
import { faultInWords, matchInWords, selectorInWords } from '../../words.ts';

export default class PolicyDescribe extends HfiCommand {
  static override summary = 'Show a policy in words, whom it selects, who runs it, and how often it hit.';
  static override description = 'Of a policy that is over and gone its last run is shown.';
  static override examples = [{ description: 'Who is hit, and until when', command: '<%= config.bin %> policy describe abort-frontend' }];
  static override args = { name: nameArg() };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyDescribe);
    this.use(flags);
    const found = await this.found(this.client(flags), args.name);
    if (this.format !== 'table') return this.printValue(found);
    const { policy, rollout, counts, stops, halts } = found;
    const { metadata, spec, status } = policy;
    const verdict = verdictInWords(counts?.verdict ?? status.result?.verdict ?? 'unknown');
    this.say(`${metadata.name}  ${phaseInWords(status)}${status.state === 'ended' ? verdict : untilInWords(status)}`);
    for (const halt of halts) this.say(`HALTED     ${haltInWords(halt)}; ${resumeCommand(halt)} lets it go on`);
    const ended = endInWords(status);
    if (ended !== undefined) this.say(`Ended      ${ended}`);
    const over = status.state === 'ended';
    if (status.lease !== null && !over) this.say(`Lease      ${spec.lease}, until ${status.lease.until} (${timeLeft(status.lease.until)})`);
    spec.stopWhen?.forEach((condition, i) => {
      const standing = stops?.conditions.find(({ index }) => index === i);
      this.say(
        `${i === 0 ? 'Stops      when' : '           or'} ${stopInWords(condition)}${standing === undefined ? '' : standingInWords(standing)}`,
      );
    });
    this.say(`Applied    ${metadata.appliedAt}, version ${metadata.resourceVersion}`);
    this.say(`Selects    ${selectorInWords(spec.selector)}, ${spec.direction} requests, priority ${spec.priority}`);
    spec.rules.forEach((rule, i) => {
      const ends = status.rules[i]?.endsAt ?? null;
      const counted = counts?.rules[i];
      this.say(
        `${`Rule ${i}`.padEnd(10)} ${matchInWords(rule.match)}: ${faultInWords(rule.fault)}${ends === null ? '' : `, ends in ${timeLeft(ends)}`}`,
      );
      if (counted !== undefined) for (const line of ruleCountsInWords(counted)) this.say(`           ${line}`);
    });
    for (const why of status.heldBack) this.say(`Held back  ${why}`);
    const total = counts?.total ?? status.result?.total;
    if (total !== undefined) this.say(`Injected   ${hitsInWords(total, over ? 0 : (counts?.perSecond ?? 0))}`);
    if (rollout === null || counts === null) return;
    const only = status.chosen === null ? '' : ', and it is for no others (hfi guardrails)';
    this.say(`Proxies    ${rollout.acknowledged} of ${rollout.selected} run it${over ? ' no more' : only}`);
    const counted = new Map(counts.proxies.map((proxy) => [proxy.name, proxy]));
    for (const proxy of rollout.proxies) this.say(`  ${proxyInWords(proxy, counted.get(proxy.name), over)}`);
    const connected = new Set(rollout.proxies.map(({ name }) => name));
    for (const proxy of counts.proxies) {
      if (!connected.has(proxy.name)) this.say(`  gone     ${proxy.name}  ${hitsInWords(proxy.counts, over ? 0 : proxy.perSecond)}`);
    }
    for (const { name, uncounted } of counts.proxies) {
      if (uncounted > 0) this.note(`warning: ${name} had no room to count ${uncounted} requests by rule; its counts are too small`);
    }
    const missing = [...new Set([...rollout.incomplete, ...counts.incomplete, ...(stops?.incomplete ?? [])])].sort();
    if (missing.length > 0) this.note(`warning: could not ask replica ${missing.join(', ')}`);
  }

  /** The policy with who runs it and how often it hit; of one that is over and gone, its last run. */
  private async found(client: Client, name: string) {
    const param = { name: encodeURIComponent(name) };
    try {
      const policy = await taken(await client.v1.policies[':name'].$get({ param }));
      const revision = policy.metadata.resourceVersion;
      const rollout = await taken(await client.v1.rollout.$get({ query: { revision, policy: name }, header: { prefer: 'wait=0' } }));
      const counts = await taken(await client.v1.policies[':name'].counts.$get({ param, query: { revision } }));
      const stops = await taken(await client.v1.policies[':name']['stop-conditions'].$get({ param, query: {} }));
      const halts = haltsOver(policy.spec.selector.namespace, (await taken(await client.v1.halt.$get())).halts);
      return { policy, rollout, counts, stops, halts };
    } catch (error) {
      if (!(error instanceof Refusal) || error.exit !== EXIT.notFound) throw error;
      const policy = await lastRun(client, name);
      if (policy === undefined) throw error;
      return { policy, rollout: null, counts: null, stops: null, halts: [] };
    }
  }
}
