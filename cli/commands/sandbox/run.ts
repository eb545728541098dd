import { Flags } from '@oclif/core';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import { leaseFlag, SandboxCommand } from '../../sandbox/command.ts';
import { freePorts } from '../../sandbox/ports.ts';
import { sandboxFolder } from '../../sandbox/project.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { SidecarRun } from '../../sandbox/sidecar-run.ts';
import { endOnSignals } from '../../sandbox/signals.ts';
import { runningSandbox } from '../../sandbox/state.ts';

export default class Run extends SandboxCommand {
  static override summary = 'Put a faultable sidecar before a service of your own.';
  static override description =
    'It joins the control plane of the running sandbox, or starts one without the demo. Send requests to the address it shows instead of to the service.';
  static override examples = [
    '<%= config.bin %> sandbox run --upstream localhost:3000',
    '<%= config.bin %> sandbox run --upstream localhost:50051 --http2 --service orders --namespace shop',
  ];
  static override flags = {
    upstream: Flags.string({ required: true, helpValue: 'HOST:PORT', description: 'where your service listens' }),
    service: Flags.string({ default: 'my-service', description: "the service's name, as a policy's selector names it" }),
    namespace: Flags.string({ default: 'default', description: "the namespace, as a policy's selector names it" }),
    port: Flags.integer({ min: 1, max: 65535, description: "the sidecar's port [default: a free one]" }),
    http2: Flags.boolean({ description: 'speak HTTP/2 to the service, as gRPC needs' }),
    lease: Flags.string({ default: '60s', description: 'how long the sidecar goes on faulting without the control plane' }),
    'control-plane-port': Flags.integer({
      default: 8080,
      min: 1,
      max: 65535,
      description: "the control plane's port, when one is started",
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Run);
    const [, host, port] = /^(?:http:\/\/)?(.+):(\d{1,5})\/?$/.exec(flags.upstream) ?? [];
    if (host === undefined || Number(port) < 1 || Number(port) > 65535) {
      throw new Failure(`--upstream ${flags.upstream} is no address: give a host and a port, such as localhost:3000.`, EXIT.usage);
    }
    const leaseMs = leaseFlag(flags.lease);
    const progress = (line: string) => this.logToStderr(line);
    const died = ({ name, ended }: { name: string; ended?: string }) => this.logToStderr(`${name} ended (${ended}) and stays down.`);

    const joined = runningSandbox(sandboxFolder());
    const own =
      joined === undefined
        ? await Sandbox.prepare({ port: flags['control-plane-port'], leaseMs, concurrency: 2, progress, died })
        : undefined;
    let sidecar: SidecarRun | undefined;
    const end = async () => {
      await sidecar?.end();
      await own?.down();
    };
    endOnSignals(end);
    try {
      await own?.up();
      const [free = 0] = flags.port === undefined ? await freePorts(1) : [flags.port];
      sidecar = new SidecarRun(died);
      await sidecar.start(own?.state ?? joined, {
        name: flags.service,
        namespace: flags.namespace,
        port: free,
        upstream: { host, port: Number(port), http2: flags.http2 },
        leaseMs,
        progress,
      });
      this.log(`${flags.service}.${flags.namespace}: http://localhost:${free} → ${flags.upstream}. Stop it with Ctrl-C.`);
    } catch (error) {
      await end();
      throw error;
    }
  }
}
