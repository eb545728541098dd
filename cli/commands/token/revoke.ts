import { HfiCommand } from '../../base.ts';
import { Refusal, taken } from '../../client.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';

export default class TokenRevoke extends HfiCommand {
  static override summary = 'End tokens at once.';
  static override description =
    'Every replica that hears etcd refuses them within a second. There is no question and no way back: make another with the same name. It takes an admin of every namespace.';
  static override examples = [{ description: 'A token that got into a log', command: '<%= config.bin %> token revoke ci' }];
  static override strict = false;
  static override usage = 'token revoke NAME...';

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(TokenRevoke);
    this.use(flags);
    const names = argv as string[];
    if (names.length === 0 || names.some((name) => name.trim() === '')) {
      throw new Failure('Name the tokens to revoke (hfi token list shows them).', EXIT.usage);
    }
    const client = this.client(flags);
    const revoked: { name: string; result: string }[] = [];
    for (const name of names) {
      try {
        revoked.push(await taken(await client.v1.tokens[':name'].$delete({ param: { name: encodeURIComponent(name) } })));
        if (this.format === 'table') this.say(`token/${name} revoked`);
      } catch (error) {
        // One that isn't there must not keep the others alive.
        if (!(error instanceof Refusal) || error.exit !== EXIT.notFound) throw error;
        process.stderr.write(`error: ${error.message}\n`);
        process.exitCode = EXIT.notFound;
      }
    }
    if (this.format !== 'table') await this.printValue({ items: revoked });
  }
}
