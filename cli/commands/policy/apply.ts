import { Flags } from '@oclif/core';
import { durationMs, HfiCommand, type TargetFlags } from '../../base.ts';
import { makeClient, Refusal, taken } from '../../client.ts';
import { asLines, type PolicyDocument, readDocuments } from '../../documents.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import type { PolicyResource } from '../../policies.ts';
import { inWords, waitForRollout } from '../../rollout.ts';
import { type Traffic, trafficInWords } from '../../traffic-words.ts';

/** Proxies that a dry run names, at most; -o json has all. */
const MOST_NAMED = 50;

interface Applied {
  readonly name: string;
  readonly result: string;
  readonly resourceVersion: string;
  readonly proxies: readonly string[];
  readonly policy: PolicyResource;
  /** Of a dry run. */
  readonly traffic?: Traffic | undefined;
}

/** Long enough for a laptop's network to come back, short enough to be no harm. */
const DEFAULT_LEASE = '30s';

export default class PolicyApply extends HfiCommand {
  static override summary = 'Create or change policies from files.';
  static override description =
    'Every document of every file is checked first; when one is wrong, nothing is applied. A policy that is the same as before stays unchanged, unless a rule has a duration: then its time starts over.';
  static override examples = [
    {
      description: 'Break the demo frontend and wait until every proxy runs it',
      command: '<%= config.bin %> policy apply -f examples/abort-policy.yaml --wait',
    },
    {
      description: 'See whom it would hit, and change nothing',
      command: '<%= config.bin %> policy apply -f examples/abort-policy.yaml --dry-run',
    },
    {
      description: 'Apply it for two minutes',
      command: '<%= config.bin %> policy apply -f examples/abort-policy.yaml --duration-seconds 120',
    },
    {
      description: 'Apply it for as long as this command runs, and at most 30 s longer if this machine is lost',
      command: '<%= config.bin %> policy apply -f examples/abort-policy.yaml --hold',
    },
    { description: 'Read it from standard input', command: 'cat examples/abort-policy.yaml | <%= config.bin %> policy apply -f -' },
  ];
  static override flags = {
    filename: Flags.string({
      char: 'f',
      required: true,
      multiple: true,
      helpValue: 'FILE|DIR|URL|-',
      description: 'Where the policies are; may be given several times.',
    }),
    recursive: Flags.boolean({ char: 'R', default: false, description: 'Read folders in folders too.' }),
    wait: Flags.boolean({
      default: false,
      description: 'Return when every selected proxy runs it; exit 6 when that takes longer than --timeout.',
    }),
    'dry-run': Flags.boolean({
      default: false,
      exclusive: ['wait'],
      description: 'Let the control plane check everything, name the proxies that would be hit, and change nothing.',
    }),
    hold: Flags.boolean({
      default: false,
      exclusive: ['dry-run'],
      description:
        "Keep the policies going, show how they are, and delete them at Ctrl-C. When this command or its machine is gone, they end by their owner's lease (spec.lease).",
    }),
    lease: Flags.string({
      helpValue: '30s',
      description: "The owner's lease of every policy, whatever the file says: 5s to 1h. With --hold 30s where the file has none.",
    }),
    'duration-seconds': Flags.integer({
      min: 0,
      helpValue: 'S',
      description: 'End every rule after so many seconds, whatever the file says; 0 = no end.',
    }),
    'start-delay-ms': Flags.integer({ min: 0, helpValue: 'MS', description: 'Wait so long before every fault, whatever the file says.' }),
  };

  async run(): Promise<void> {
    // As kubectl has it; it is always the server that is asked.
    this.argv = this.argv.map((word) => (word === '--dry-run=server' ? '--dry-run' : word));
    const { flags } = await this.parse(PolicyApply);
    this.use(flags);
    const timeoutMs = durationMs('timeout', flags.timeout);
    this.target(flags);
    const { documents, wrong } = await readDocuments(flags.filename, flags.recursive, timeoutMs);
    for (const { value } of documents) override(value, flags['duration-seconds'], flags['start-delay-ms']);
    for (const { value } of documents) setLease(value, flags.lease, flags.hold);
    const checked = await this.check(flags, documents, [...wrong, ...twins(documents)]);
    const applied = flags['dry-run'] ? checked : await this.applyAll(flags, documents);
    if (this.format !== 'table') await this.printValue({ dryRun: flags['dry-run'], items: applied });
    // The check asked all replicas; a change is answered by one of them.
    for (const one of checked) this.saysWhom(one, flags['dry-run']);
    await Promise.all([flags.wait && this.waitForAll(flags, applied, timeoutMs), flags.hold && this.holdAll(flags, applied)]);
  }

  /** Stays until Ctrl-C. */
  private async holdAll(flags: TargetFlags, applied: readonly Applied[]): Promise<void> {
    const { hold, heldOf, endOnSignal } = await import('../../hold.ts');
    const { HoldScreen } = await import('../../hold-screen.ts');
    const target = this.target(flags);
    const screen = new HoldScreen(process.stderr);
    const kept = await hold(
      applied.map(({ policy }) => heldOf(policy)),
      {
        client: (timeoutMs) => makeClient({ ...target, timeoutMs }),
        show: (states) => this.quiet || screen.show(states),
        note: (line) => this.quiet || screen.note(line),
        end: endOnSignal(),
      },
    );
    screen.end();
    if (!kept) process.exitCode = EXIT.refused;
  }

  private async put(flags: TargetFlags, { value, name }: PolicyDocument, dryRun: boolean): Promise<Applied> {
    const answer = await this.client(flags).v1.policies[':name'].$put(
      { param: { name }, query: dryRun ? { dryRun: 'true' } : {}, json: value as never },
      { headers: { 'content-type': 'application/json' } },
    );
    const { result, policy, proxies, warnings, traffic } = await taken(answer);
    // Everything is asked for without doing it first: warned once.
    if (dryRun) for (const warning of warnings) this.note(`warning: policy/${policy.metadata.name}: ${warning}`);
    return { name, result, resourceVersion: policy.metadata.resourceVersion, proxies, policy, ...(dryRun && { traffic }) };
  }

  /** Asks for everything without doing it; all that is wrong is told at once, at its line and column. */
  private async check(
    flags: TargetFlags & { 'dry-run': boolean },
    documents: readonly PolicyDocument[],
    found: readonly string[],
  ): Promise<Applied[]> {
    const fine: Applied[] = [];
    const wrong = [...found];
    for (const document of documents) {
      try {
        // A name that isn't one can't be in the address; the control plane then says so of the body.
        fine.push(await this.put(flags, { ...document, name: encodeURIComponent(document.name) || '-' }, true));
      } catch (error) {
        // What is halted is not wrong with the document.
        if (!(error instanceof Refusal) || error.exit !== EXIT.refused || error.code === 'halted') throw error;
        if (error.errors.length === 0) wrong.push(`${document.source}:${at(document, '')}: ${error.message}`);
        for (const one of error.errors) {
          const hint = one.nearest === undefined ? '' : ` (did you mean ${one.nearest}?)`;
          const allowed = one.nearest === undefined && one.allowed !== undefined ? ` (allowed: ${one.allowed.join(', ')})` : '';
          wrong.push(`${document.source}:${at(document, one.path)}: ${one.path || 'the document'}: ${one.message}${hint}${allowed}`);
        }
      }
    }
    if (wrong.length > 0) throw new Failure(`not valid; nothing was applied:\n${asLines(wrong)}`, EXIT.refused);
    if (flags['dry-run'] && this.format === 'table') for (const { name, result } of fine) this.say(`policy/${name} ${result} (dry run)`);
    return fine;
  }

  private async applyAll(flags: TargetFlags, documents: readonly PolicyDocument[]): Promise<Applied[]> {
    const applied: Applied[] = [];
    for (const document of documents) {
      const one = await this.put(flags, document, false).catch((error: unknown) => {
        throw applied.length === 0 ? error : partly(applied, documents, error);
      });
      if (this.format === 'table') this.say(`policy/${one.name} ${one.result}`);
      applied.push(one);
    }
    return applied;
  }

  private saysWhom({ name, proxies, traffic }: Applied, named: boolean): void {
    if (proxies.length === 0) this.note(`warning: policy/${name} selects no connected proxy (hfi proxy list shows them)`);
    else this.note(`policy/${name} selects ${proxies.length} ${proxies.length === 1 ? 'proxy' : 'proxies'}${named ? ':' : ''}`);
    if (!named) return;
    for (const proxy of proxies.slice(0, MOST_NAMED)) this.note(`  ${proxy}`);
    if (proxies.length > MOST_NAMED) this.note(`  and ${proxies.length - MOST_NAMED} more`);
    if (proxies.length > 0 && traffic !== undefined) this.note(`  ${trafficInWords(traffic, proxies.length)}`);
  }

  private async waitForAll(flags: TargetFlags, applied: readonly Applied[], timeoutMs: number): Promise<void> {
    const target = this.target(flags);
    const deadline = performance.now() + timeoutMs;
    for (const { name, resourceVersion } of applied) {
      const rollout = await waitForRollout(target, resourceVersion, name, deadline);
      this.note(`policy/${name} ${inWords(rollout)}`);
      if (!rollout.done) process.exitCode = EXIT.partly;
    }
  }
}

/** What is in force and what is not, when a change fails after others were done. */
function partly(applied: readonly Applied[], documents: readonly PolicyDocument[], error: unknown): Failure {
  const named = (names: readonly string[]): string => names.map((name) => `policy/${name}`).join(', ');
  const rest = documents.slice(applied.length).map(({ name }) => name);
  const reason = error instanceof Error ? error.message : String(error);
  return new Failure(`applied: ${named(applied.map(({ name }) => name))}; not applied: ${named(rest)}: ${reason}`, EXIT.partly);
}

/** Sets what the flags say in every rule's fault. */
function override(value: unknown, durationSeconds: number | undefined, startDelayMs: number | undefined): void {
  const rules = (value as { spec?: { rules?: unknown } } | null)?.spec?.rules;
  for (const rule of Array.isArray(rules) ? rules : []) {
    const fault = (rule as { fault?: Record<string, unknown> } | null)?.fault;
    if (typeof fault !== 'object' || fault === null) continue;
    if (durationSeconds !== undefined) fault.duration_seconds = durationSeconds;
    if (startDelayMs !== undefined) fault.start_delay_ms = startDelayMs;
  }
}

/** Sets the owner's lease, or one where there is none and somebody holds the policy. */
function setLease(value: unknown, lease: string | undefined, hold: boolean): void {
  const spec = (value as { spec?: Record<string, unknown> } | null)?.spec;
  if (typeof spec !== 'object' || spec === null) return;
  if (lease !== undefined) spec.lease = lease;
  else if (hold) spec.lease ??= DEFAULT_LEASE;
}

/** `line:column` of a path. */
function at(document: PolicyDocument, path: string): string {
  const { line, column } = document.position(path);
  return `${line}:${column}`;
}

/** A line on each name that two documents have: which of them would win is not for chance to say. */
function twins(documents: readonly PolicyDocument[]): string[] {
  const first = new Map<string, PolicyDocument>();
  return documents.flatMap((document) => {
    const twin = first.get(document.name);
    if (document.name === '') return [];
    if (twin === undefined) first.set(document.name, document);
    return twin === undefined
      ? []
      : [
          `${document.source}:${at(document, 'metadata.name')}: metadata.name: "${document.name}" is in ${twin.source}:${at(twin, 'metadata.name')} too`,
        ];
  });
}
