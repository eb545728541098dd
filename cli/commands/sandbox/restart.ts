import { Args } from '@oclif/core';
import { nearest } from '../../../services/policy/nearest.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import { SandboxCommand } from '../../sandbox/command.ts';
import { orderRestart } from '../../sandbox/orders.ts';
import { isRunning } from '../../sandbox/process.ts';

export default class Restart extends SandboxCommand {
  static override summary = 'End one part of the sandbox, if it runs, and start it again.';
  static override examples = ['<%= config.bin %> sandbox restart control-plane', '<%= config.bin %> sandbox restart frontend-proxy'];
  static override args = {
    part: Args.string({ required: true, description: 'a part as hfi sandbox status names it' }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(Restart);
    const state = this.requireState();
    if (!isRunning(state.supervisor)) this.error('The sandbox itself has ended: start it again with npm start.', { exit: 3 });
    const parts = state.parts.map(({ name }) => name);
    if (!parts.includes(args.part)) {
      const near = nearest(args.part, parts);
      const hint = near === undefined ? `there are: ${parts.join(', ')}` : `did you mean ${near}?`;
      throw new Failure(`There is no part ${JSON.stringify(args.part)}; ${hint}`, EXIT.notFound);
    }
    await orderRestart(state, args.part);
    this.logToStderr(`${args.part} runs again.`);
  }
}
