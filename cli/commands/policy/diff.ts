import { Flags } from '@oclif/core';
import { durationMs, HfiCommand, type TargetFlags } from '../../base.ts';
import { Refusal, taken } from '../../client.ts';
import { asLines, type PolicyDocument, readDocuments } from '../../documents.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import type { PolicyResource } from '../../policies.ts';
import { differences } from '../../policy-diff.ts';

interface Difference {
  readonly name: string;
  readonly result: string;
  readonly diff: string;
}

export default class PolicyDiff extends HfiCommand {
  static override summary = 'Show what applying files would change, line by line.';
  static override description =
    'Both sides have every default filled in, so what differs is what proxies would do differently. Nothing is changed. Exit code 0 when nothing differs, 1 when something does.';
  static override examples = [{ description: 'What would change', command: '<%= config.bin %> policy diff -f examples/abort-policy.yaml' }];
  static override flags = {
    filename: Flags.string({
      char: 'f',
      required: true,
      multiple: true,
      helpValue: 'FILE|DIR|URL|-',
      description: 'Where the policies are; may be given several times.',
    }),
    recursive: Flags.boolean({ char: 'R', default: false, description: 'Read folders in folders too.' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(PolicyDiff);
    this.use(flags);
    this.target(flags);
    const { documents, wrong } = await readDocuments(flags.filename, flags.recursive, durationMs('timeout', flags.timeout));
    if (wrong.length > 0) throw new Failure(`not valid:\n${asLines(wrong)}`, EXIT.refused);
    const found: Difference[] = [];
    for (const document of documents) found.push(await this.difference(flags, document));
    if (this.format !== 'table') await this.printValue({ items: found });
    else for (const { diff } of found) if (diff !== '') process.stdout.write(diff);
    if (found.some(({ diff }) => diff !== '')) process.exitCode = EXIT.refused;
  }

  private async difference(flags: TargetFlags, { source, value, name }: PolicyDocument): Promise<Difference> {
    const policies = this.client(flags).v1.policies[':name'];
    const param = { name: encodeURIComponent(name) || '-' };
    const planned = await policies
      .$put({ param, query: { dryRun: 'true' }, json: value as never }, { headers: { 'content-type': 'application/json' } })
      .then((answer) => taken(answer))
      .catch((error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        const lines = error.errors.map(({ path, message }) => `${path || 'the document'}: ${message}`);
        throw new Failure(`${source}: not valid:\n${asLines(lines.length === 0 ? [error.message] : lines)}`, error.exit);
      });
    const before = planned.result === 'created' ? undefined : await taken(await policies.$get({ param }));
    return { name, result: planned.result, diff: await differences(before && asWritten(before), asWritten(planned.policy), name) };
  }
}

/** What its author can write of a policy. */
function asWritten({ metadata: { name }, spec }: PolicyResource) {
  return { metadata: { name }, spec };
}
