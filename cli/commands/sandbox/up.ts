import { Flags } from '@oclif/core';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import { leaseFlag, SandboxCommand } from '../../sandbox/command.ts';
import { upDetached } from '../../sandbox/detach.ts';
import { sandboxFolder } from '../../sandbox/project.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { upScreen } from '../../sandbox/screen.ts';
import { endOnSignals } from '../../sandbox/signals.ts';

export default class Up extends SandboxCommand {
  static override summary = 'Run etcd, the control plane and a demo behind real Envoys on this machine.';
  static override examples = [
    '<%= config.bin %> sandbox up',
    '<%= config.bin %> sandbox up --detach',
    '<%= config.bin %> sandbox up --port 9090 --lease 6s',
  ];
  static override flags = {
    port: Flags.integer({ default: 8080, min: 1, max: 65535, description: "the control plane's port" }),
    'frontend-port': Flags.integer({ default: 8081, min: 1, max: 65535, description: "the demo frontend's port" }),
    'backend-port': Flags.integer({ default: 8082, min: 1, max: 65535, description: "the demo backend's port" }),
    lease: Flags.string({ default: '60s', description: 'how long a proxy goes on faulting without the control plane' }),
    concurrency: Flags.integer({ default: 2, min: 1, max: 64, description: 'worker threads of each Envoy' }),
    detach: Flags.boolean({ description: 'return when all is up, and leave it running' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Up);
    const leaseMs = leaseFlag(flags.lease);
    refuseSamePorts({ port: flags.port, 'frontend-port': flags['frontend-port'], 'backend-port': flags['backend-port'] });
    if (flags.detach) {
      const state = await upDetached(
        sandboxFolder(),
        this.argv.filter((flag) => flag !== '--detach'),
      );
      this.log(upScreen(state, 'Stop it with: npx hfi sandbox down'));
      return;
    }
    const sandbox = await Sandbox.prepare({
      port: flags.port,
      leaseMs,
      concurrency: flags.concurrency,
      demo: { frontendPort: flags['frontend-port'], backendPort: flags['backend-port'] },
      progress: (line) => this.logToStderr(line),
      died: ({ name, ended }) =>
        this.logToStderr(`${name} ended (${ended}). It stays down; bring it back with: npx hfi sandbox restart ${name}`),
    });
    endOnSignals(async () => {
      this.logToStderr('Stopping …');
      await sandbox.down();
      this.logToStderr('The sandbox is down.');
    });
    try {
      await sandbox.up();
    } catch (error) {
      await sandbox.down();
      throw error;
    }
    this.log(upScreen(sandbox.state, 'Stop it with Ctrl-C.'));
  }
}

/** @throws Failure that names the two flags */
function refuseSamePorts(ports: Readonly<Record<string, number>>): void {
  const flagOf = new Map<number, string>();
  for (const [flag, port] of Object.entries(ports)) {
    const other = flagOf.get(port);
    if (other !== undefined) throw new Failure(`--${other} and --${flag} are both ${port}; each needs a port of its own.`, EXIT.usage);
    flagOf.set(port, flag);
  }
}
