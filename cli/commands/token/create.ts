import { Args, Flags } from '@oclif/core';
import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { lifetimeSeconds } from '../../lifetime.ts';

export default class TokenCreate extends HfiCommand {
  static override summary = 'Make a token and print it, once.';
  static override description =
    'The token alone is on stdout, what it is for on stderr. The control plane keeps only its digest: who loses a token revokes it and makes another. It takes an admin of every namespace.';
  static override examples = [
    {
      description: 'For a pipeline that may change policies of two namespaces',
      command: '<%= config.bin %> token create ci --role editor --namespace shop --namespace pay --expires 30d',
    },
    {
      description: 'Into a file that only you can read, for somebody who may look at everything until tonight',
      command: '(umask 077; <%= config.bin %> token create auditor --role viewer --expires 8h > auditor-token)',
    },
  ];
  static override args = {
    name: Args.string({ required: true, description: 'Its name: a DNS label, unique. The audit shows it.' }),
  };
  static override flags = {
    role: Flags.option({ options: ['admin', 'editor', 'viewer', 'proxy'] as const, required: true })({
      description: 'What it may do: everything; read and write policies; read; poll as a proxy.',
    }),
    namespace: Flags.string({ multiple: true, helpValue: 'NAME', description: 'The only namespaces that it is for; all if not given.' }),
    expires: Flags.string({ default: '30d', helpValue: '30d', description: 'How long it is good: 1m to 366d.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TokenCreate);
    this.use(flags);
    const expiresInSeconds = lifetimeSeconds('expires', flags.expires);
    const namespaces = flags.namespace === undefined ? {} : { namespaces: flags.namespace };
    const made = await taken(
      await this.client(flags).v1.tokens.$post(
        { json: { name: args.name, role: flags.role, expiresInSeconds, ...namespaces } },
        { headers: { 'content-type': 'application/json' } },
      ),
    );
    this.note(
      `token/${made.name} created: ${made.role} of ${made.namespaces?.join(', ') ?? 'every namespace'}, until ${made.expiresAt}. It is shown this once:`,
    );
    if (this.format === 'table') this.say(made.token);
    else await this.printValue(made);
  }
}
