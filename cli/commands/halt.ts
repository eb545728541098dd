import { Flags } from '@oclif/core';
import { nearest } from '../../services/policy/nearest.ts';
import { durationMs, HfiCommand } from '../base.ts';
import { type Client, makeClient, taken } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { haltInWords, whatIsHalted } from '../halts.ts';
import { timeLeft } from '../print.ts';
import { inWords, type Rollout, waitForRollout } from '../rollout.ts';

/** The control plane halts at once and answers when etcd did, or didn't in its time: whoever is impatient waits for that all the same. */
const LEAST_MS = 5000;

export default class Halt extends HfiCommand {
  static override summary = 'Stop all injection at once, and refuse policies until hfi resume.';
  static override description =
    'Requests that are delayed go on, and nothing is injected any more. Returns when every connected proxy has said so. Exit code 6 when that takes longer than --timeout, when a proxy is not connected whose lease has not ended, or when etcd could not take it yet: each is named, with the end of its lease. Halting what is halted changes nothing.';
  static override examples = [
    { description: 'Stop everything', command: '<%= config.bin %> halt --reason "checkout is down"' },
    { description: 'Stop one namespace', command: '<%= config.bin %> halt --namespace demo' },
  ];
  static override flags = {
    reason: Flags.string({ default: '', helpValue: 'TEXT', description: 'Why, for whoever finds it halted.' }),
    namespace: Flags.string({ char: 'n', helpValue: 'NAME', description: 'Stop the proxies of this namespace alone.' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Halt);
    this.use(flags);
    const target = this.target(flags);
    const deadline = performance.now() + durationMs('timeout', flags.timeout);
    const { reason, namespace } = flags;
    const client = makeClient({ ...target, timeoutMs: Math.max(target.timeoutMs, LEAST_MS) });
    const json = { reason, ...(namespace === undefined ? {} : { namespace }) };
    const { result, halt, resourceVersion, incomplete } = await taken(
      await client.v1.halt.$post({ query: {}, json }, { headers: { 'content-type': 'application/json' } }),
    );
    if (this.format === 'table') {
      this.say(result === 'halted' ? `halted: ${whatIsHalted(halt)}` : `halted already: ${haltInWords(halt)}`);
    }
    const rollout = await waitForRollout(target, resourceVersion ?? '0', undefined, deadline, {
      halted: 'true',
      ...(namespace === undefined ? {} : { namespace }),
    });
    const open = stillOpen(rollout);
    if (this.format !== 'table') {
      const { selected, acknowledged } = rollout;
      const missing = [...new Set([...incomplete, ...rollout.incomplete])].sort();
      const { unheardUntil } = rollout;
      await this.printValue({ result, halt, resourceVersion, selected, acknowledged, open, unheardUntil, incomplete: missing });
    }
    this.note(inWords(rollout));
    if (resourceVersion === null)
      warn('etcd does not answer: the halt is tried until it is kept; a replica that starts meanwhile does not know of it');
    for (const name of incomplete) warn(`replica ${name} could not be told of the halt`);
    for (const one of open) warn(`${one.name} ${one.reason}; ${lease(one.leaseEndsAt)}`);
    if (rollout.unheardUntil !== null) {
      warn(
        `a control plane was started or lost a moment ago: proxies that it has not heard of since may go on until ${rollout.unheardUntil} (in ${timeLeft(rollout.unheardUntil)}), when their leases end`,
      );
    }
    if (!rollout.done || open.length > 0 || resourceVersion === null) process.exitCode = EXIT.partly;
    if (namespace !== undefined && rollout.selected === 0 && open.length === 0) warn(await nobodyIn(client, namespace));
  }
}

/** A name that nobody has is perhaps another one, in which it goes on. */
async function nobodyIn(client: Client, namespace: string): Promise<string> {
  const { items } = await taken(await client.v1.proxies.$get({ query: {} }));
  const near = nearest(namespace, [...new Set(items.filter(({ connected }) => connected).map((proxy) => proxy.namespace))]);
  return `no proxy of namespace ${namespace} is connected${near === undefined ? '' : `; did you mean ${near}?`}`;
}

/** A proxy that may inject still. */
interface Open {
  readonly name: string;
  readonly connected: boolean;
  readonly reason: string;
  /** Null when nobody knows of a lease that is running. */
  readonly leaseEndsAt: string | null;
}

/** Those that have not acknowledged and those that can't be asked, but for those whose lease has ended. */
function stillOpen({ late, leases, disconnected }: Rollout): Open[] {
  const endOf = new Map(leases.map(({ name, endsAt }) => [name, endsAt]));
  return [
    ...late.map(({ name, reason }) => ({
      name,
      connected: true,
      reason: `has not acknowledged${reason === null ? '' : `: ${reason}`}`,
      leaseEndsAt: endOf.get(name) ?? null,
    })),
    ...disconnected
      .filter((name) => endOf.has(name))
      .map((name) => ({ name, connected: false, reason: 'is not connected', leaseEndsAt: endOf.get(name) ?? null })),
  ];
}

function lease(endsAt: string | null): string {
  return endsAt === null ? 'it holds no lease' : `its lease ends at ${endsAt} (in ${timeLeft(endsAt)}), and its faults with it`;
}

/** What must be heard also when quiet. */
function warn(line: string): void {
  process.stderr.write(`warning: ${line}\n`);
}
