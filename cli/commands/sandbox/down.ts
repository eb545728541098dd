import { SandboxCommand } from '../../sandbox/command.ts';
import { endProcess } from '../../sandbox/process.ts';
import { sandboxFolder } from '../../sandbox/project.ts';
import { endLeftovers } from '../../sandbox/sandbox.ts';
import { readState } from '../../sandbox/state.ts';

export default class Down extends SandboxCommand {
  static override summary = 'End the sandbox and everything that it started.';
  static override examples = ['<%= config.bin %> sandbox down'];

  async run(): Promise<void> {
    await this.parse(Down);
    const folder = sandboxFolder();
    const state = readState(folder);
    if (state === undefined) {
      this.logToStderr('No sandbox runs here.');
      return;
    }
    // Longer than the supervisor gives its parts, so that it is killed only when it hangs itself.
    await endProcess(state.supervisor, 8000);
    await endLeftovers(folder);
    this.logToStderr('The sandbox is down.');
  }
}
