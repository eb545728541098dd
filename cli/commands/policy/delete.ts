import { Flags } from '@oclif/core';
import { durationMs, HfiCommand, type TargetFlags } from '../../base.ts';
import { Refusal, taken } from '../../client.ts';
import { confirm } from '../../confirm.ts';
import { asLines, readDocuments } from '../../documents.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import { inWords, waitForRollout } from '../../rollout.ts';

export default class PolicyDelete extends HfiCommand {
  static override summary = 'Delete policies: their faults end at once.';
  static override examples = [
    { description: 'Delete a policy', command: '<%= config.bin %> policy delete abort-frontend' },
    {
      description: 'Delete what a file applied, without a question, and wait until no proxy runs it',
      command: '<%= config.bin %> policy delete -f examples/abort-policy.yaml --yes --wait',
    },
  ];
  static override strict = false;
  static override usage = 'policy delete NAME... | -f FILE';
  static override flags = {
    filename: Flags.string({
      char: 'f',
      multiple: true,
      helpValue: 'FILE|DIR|URL|-',
      description: 'Delete the policies that these files name.',
    }),
    yes: Flags.boolean({ char: 'y', default: false, description: "Don't ask. Needed when there is no terminal." }),
    wait: Flags.boolean({
      default: false,
      description: 'Return when no proxy runs them any more; exit 6 when that takes longer than --timeout.',
    }),
    'ignore-not-found': Flags.boolean({ default: false, description: 'A policy that is not there is no failure.' }),
  };

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(PolicyDelete);
    this.use(flags);
    const timeoutMs = durationMs('timeout', flags.timeout);
    const names = await this.names(argv as string[], flags.filename ?? [], timeoutMs);
    this.target(flags);
    if (!flags.yes) {
      await confirm({ text: `Delete policy ${names.join(', ')}?`, flag: '--yes to delete', refused: 'Nothing was deleted.' });
    }
    const deleted: { name: string; result: string; resourceVersion: string }[] = [];
    for (const name of names) {
      const one = await this.remove(flags, name, flags['ignore-not-found']);
      if (one === undefined) continue;
      deleted.push(one);
      if (this.format === 'table') this.say(`policy/${name} deleted`);
    }
    if (this.format !== 'table') await this.printValue({ items: deleted });
    const last = deleted.at(-1);
    if (flags.wait && last !== undefined) await this.waitForAll(flags, last.resourceVersion, timeoutMs);
  }

  private async names(typed: readonly string[], files: readonly string[], timeoutMs: number): Promise<string[]> {
    if (typed.length === 0 && files.length === 0) throw new Failure('Name the policies to delete, or a file with -f.', EXIT.usage);
    const { documents, wrong } = files.length === 0 ? { documents: [], wrong: [] } : await readDocuments(files, false, timeoutMs);
    if (wrong.length > 0) throw new Failure(`nothing was deleted:\n${asLines(wrong)}`, EXIT.refused);
    if (typed.some((name) => name.trim() === '')) throw new Failure('A name is empty; nothing was deleted.', EXIT.usage);
    const names = [...typed, ...documents.map(({ name }) => name)];
    if (names.includes('')) throw new Failure('A document of the file has no metadata.name; nothing was deleted.', EXIT.refused);
    return [...new Set(names)];
  }

  private async remove(flags: TargetFlags, name: string, missingIsFine: boolean) {
    try {
      const answer = await this.client(flags).v1.policies[':name'].$delete({ param: { name: encodeURIComponent(name) } });
      return await taken(answer);
    } catch (error) {
      if (!(error instanceof Refusal) || error.exit !== EXIT.notFound) throw error;
      if (missingIsFine) return undefined;
      process.stderr.write(`error: there is no policy "${name}".\n`);
      process.exitCode = EXIT.notFound;
      return undefined;
    }
  }

  private async waitForAll(flags: TargetFlags, revision: string, timeoutMs: number): Promise<void> {
    const rollout = await waitForRollout(this.target(flags), revision, undefined, performance.now() + timeoutMs);
    this.note(inWords(rollout));
    if (!rollout.done) process.exitCode = EXIT.partly;
  }
}
