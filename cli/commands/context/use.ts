import { Args } from '@oclif/core';
import { nearest } from '../../../services/policy/nearest.ts';
import { HfiCommand } from '../../base.ts';
import { readContexts, writeContexts } from '../../contexts.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';

export default class ContextUse extends HfiCommand {
  static override summary = 'Make a context the current one.';
  static override examples = [{ description: 'Speak to the sandbox from now on', command: '<%= config.bin %> context use sandbox' }];
  static override args = { name: Args.string({ required: true, description: "The context's name." }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ContextUse);
    this.use(flags);
    const { contexts } = readContexts();
    if (!Object.hasOwn(contexts, args.name)) {
      const near = nearest(args.name, Object.keys(contexts));
      throw new Failure(`There is no context "${args.name}"${near === undefined ? '' : `; did you mean "${near}"?`}`, EXIT.notFound);
    }
    writeContexts({ current: args.name, contexts });
    if (this.format === 'table') this.say(`context/${args.name} is the current one`);
    else await this.printValue({ name: args.name, result: 'current' });
  }
}
