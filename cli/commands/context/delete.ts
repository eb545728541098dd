import { Args } from '@oclif/core';
import { HfiCommand } from '../../base.ts';
import { readContexts, writeContexts } from '../../contexts.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';

export default class ContextDelete extends HfiCommand {
  static override summary = 'Remove a context.';
  static override examples = [{ description: 'Forget a control plane and its token', command: '<%= config.bin %> context delete staging' }];
  static override args = { name: Args.string({ required: true, description: "The context's name." }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ContextDelete);
    this.use(flags);
    const { contexts, current } = readContexts();
    if (!Object.hasOwn(contexts, args.name)) throw new Failure(`There is no context "${args.name}".`, EXIT.notFound);
    const { [args.name]: _gone, ...left } = contexts;
    writeContexts({ current: current === args.name ? undefined : current, contexts: left });
    if (this.format === 'table') this.say(`context/${args.name} deleted`);
    else await this.printValue({ name: args.name, result: 'deleted' });
  }
}
