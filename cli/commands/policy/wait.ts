import { setTimeout as sleep } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { durationMs, HfiCommand, type TargetFlags } from '../../base.ts';
import { Refusal, taken } from '../../client.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import { nameArg } from '../../name-arg.ts';
import { lastRun, type PolicyResource } from '../../policies.ts';
import { inWords, waitForRollout } from '../../rollout.ts';

/** Between two looks at the counts, which proxies report once a second. */
const LOOK_MS = 200;

/** What is waited for. */
type Goal = { readonly kind: 'acknowledged' } | { readonly kind: 'ended' } | { readonly kind: 'injected'; readonly count: number };

export default class PolicyWait extends HfiCommand {
  static override summary = 'Wait until every proxy runs a policy, it has hit so many requests, or it has ended.';
  static override description =
    'Exit code 0 when it is so, 1 when it is not so within --timeout or can not become so any more: a policy that has ended hits no further request.';
  static override examples = [
    { description: 'Until every selected proxy runs it', command: '<%= config.bin %> policy wait abort-frontend' },
    {
      description: 'Until it has hit 100 requests, for a minute at most',
      command: '<%= config.bin %> policy wait abort-frontend --for injected=100 --timeout 1m',
    },
    { description: 'Until it is over', command: '<%= config.bin %> policy wait abort-frontend --for ended --timeout 10m' },
  ];
  static override args = { name: nameArg() };
  static override flags = {
    for: Flags.string({
      default: 'acknowledged',
      helpValue: 'acknowledged|injected=N|ended',
      description: 'What to wait for.',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyWait);
    this.use(flags);
    const goal = goalOf(flags.for);
    const deadline = performance.now() + durationMs('timeout', flags.timeout);
    const said = await this.until(flags, args.name, goal, deadline);
    if (this.format === 'table') this.say(`policy/${args.name} ${said}`);
    else await this.printValue({ name: args.name, for: flags.for, reached: true, message: said });
  }

  /** @returns in words what is so now */
  private async until(flags: TargetFlags, name: string, goal: Goal, deadline: number): Promise<string> {
    const policy = await this.policy(flags, name).catch(async (error: unknown) => {
      const over = goal.kind === 'ended' ? await lastRun(this.client(flags), name) : undefined;
      if (over === undefined) throw error;
      return over;
    });
    if (goal.kind === 'acknowledged') {
      if (policy.status.state === 'ended') throw new Failure(`policy/${name} has ended: no proxy is to run it any more.`, EXIT.refused);
      const rollout = await waitForRollout(this.target(flags), policy.metadata.resourceVersion, name, deadline);
      if (rollout.done) return inWords(rollout);
      throw new Failure(`policy/${name} is ${inWords(rollout)}.`, EXIT.refused);
    }
    for (;;) {
      const state = goal.kind === 'ended' ? await this.ended(flags, name) : await this.injected(flags, name, goal);
      if (state.reached) return state.said;
      const left = deadline - performance.now();
      if (left <= 0) throw new Failure(`policy/${name} ${state.said} after ${flags.timeout}.`, EXIT.refused);
      await sleep(Math.min(LOOK_MS, left));
    }
  }

  private async policy(flags: TargetFlags, name: string): Promise<PolicyResource> {
    return taken(await this.client(flags).v1.policies[':name'].$get({ param: { name: encodeURIComponent(name) } }));
  }

  private async ended(flags: TargetFlags, name: string): Promise<{ reached: boolean; said: string }> {
    try {
      const { status } = await this.policy(flags, name);
      const reached = status.state === 'ended';
      return { reached, said: reached ? `ended ${status.end?.at ?? status.endsAt ?? ''}`.trim() : `is still ${status.state}` };
    } catch (error) {
      // It was there when the wait began.
      if (error instanceof Refusal && error.exit === EXIT.notFound) return { reached: true, said: 'was deleted' };
      throw error;
    }
  }

  private async injected(
    flags: TargetFlags,
    name: string,
    { count }: Extract<Goal, { kind: 'injected' }>,
  ): Promise<{ reached: boolean; said: string }> {
    const counts = await taken(
      await this.client(flags).v1.policies[':name'].counts.$get({ param: { name: encodeURIComponent(name) }, query: {} }),
    );
    const { injected } = counts.total;
    if (injected >= count) return { reached: true, said: `hit ${injected} requests` };
    if (counts.verdict === 'effective' || counts.verdict === 'inconclusive') {
      throw new Failure(`policy/${name} has ended; it hit ${injected} of ${count} requests.`, EXIT.refused);
    }
    return { reached: false, said: `hit ${injected} of ${count} requests` };
  }
}

/** @throws Failure */
function goalOf(text: string): Goal {
  if (text === 'acknowledged' || text === 'ended') return { kind: text };
  const [, digits] = /^injected=(\d{1,15})$/.exec(text) ?? [];
  if (digits !== undefined && Number(digits) > 0) return { kind: 'injected', count: Number(digits) };
  throw new Failure(`--for is "${text}"; it must be acknowledged, ended, or injected=N with N from 1, such as injected=100.`, EXIT.usage);
}
