import { Args } from '@oclif/core';
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
    await orderRestart(state, args.part);
    this.logToStderr(`${args.part} runs again.`);
  }
}
