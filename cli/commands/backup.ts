import { writeFileSync } from 'node:fs';
import { Flags } from '@oclif/core';
import { HfiCommand } from '../base.ts';
import { taken } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { allPolicies, type PolicyResource } from '../policies.ts';

export default class Backup extends HfiCommand {
  static override summary = 'Write all policies as a file that hfi policy apply takes back.';
  static override description =
    'Policies that have ended are left out. When it is taken back, a rule with a duration begins its time anew: look through the file first.';
  static override examples = [
    { description: 'Into a file, for this user alone', command: '<%= config.bin %> backup -f policies.yaml' },
    {
      description: 'From one control plane into another',
      command: '<%= config.bin %> backup | <%= config.bin %> policy apply -f - --context other',
    },
  ];
  static override flags = {
    filename: Flags.string({ char: 'f', helpValue: 'FILE', description: 'Where to; standard output if not given.' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Backup);
    this.use(flags);
    const client = this.client(flags);
    const all = await allPolicies((query) => client.v1.policies.$get({ query }).then((answer) => taken(answer)));
    const active = all.filter(({ status }) => status.state === 'active');
    const { stringify } = await import('yaml');
    const text = active.map((policy) => stringify(document(policy), { aliasDuplicateObjects: false })).join('---\n');
    if (flags.filename === undefined) process.stdout.write(text);
    else write(flags.filename, text);
    const ended = all.length - active.length;
    this.note(
      `${active.length} ${active.length === 1 ? 'policy' : 'policies'} written${ended === 0 ? '' : `, ${ended} that ended left out`}`,
    );
  }
}

/** A policy as it is written, without what the control plane adds. */
function document({ metadata, spec }: PolicyResource): object {
  return { apiVersion: 'hfi/v1', kind: 'FaultPolicy', metadata: { name: metadata.name }, spec };
}

/** @throws Failure */
function write(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 });
  } catch (error) {
    throw new Failure(`${file} can not be written (${(error as NodeJS.ErrnoException).code}).`, EXIT.usage);
  }
}
