import { HfiCommand } from '../../base.ts';
import { taken } from '../../client.ts';
import { timeLeft } from '../../print.ts';

export default class TokenList extends HfiCommand {
  static override summary = 'List the issued tokens, without what they are.';
  static override description = "Those of the control plane's tokens file are not in it. It takes an admin of every namespace.";
  static override examples = [{ description: 'Who has access, and until when', command: '<%= config.bin %> token list' }];

  async run(): Promise<void> {
    const { flags } = await this.parse(TokenList);
    this.use(flags);
    const { items } = await taken(await this.client(flags).v1.tokens.$get());
    if (items.length === 0 && this.format === 'table') {
      this.note('No token was issued. Make one: hfi token create NAME --role viewer');
      return;
    }
    await this.print({ items }, items, [
      { title: 'name', of: ({ name }) => name },
      { title: 'role', of: ({ role }) => role },
      { title: 'namespaces', of: ({ namespaces }) => namespaces?.join(',') ?? '*' },
      { title: 'created by', of: ({ createdBy }) => createdBy },
      { title: 'expires in', of: ({ expiresAt }) => timeLeft(expiresAt) },
    ]);
  }
}
