import { createServer } from 'node:net';
import { Args, Flags } from '@oclif/core';
import { ClusterCommand } from '../cluster/command.ts';
import { PARTS, type PartName, readyPodOf } from '../cluster/control-plane.ts';
import { openPort } from '../cluster/port.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';

export default class PortForward extends ClusterCommand {
  static override summary = "Make a part of the stack reachable on this machine's loopback, until Ctrl-C.";
  static override description = 'hfi itself does not need it: it reaches the control plane through the Kubernetes API by itself.';
  static override examples = [
    { description: "The control plane's API and its page /docs", command: '<%= config.bin %> port-forward' },
    { description: 'The server of the filter', command: '<%= config.bin %> port-forward wasm-server --port 8090' },
  ];
  static override args = {
    part: Args.string({ options: Object.keys(PARTS), default: 'control-plane', description: 'which part' }),
  };
  static override flags = {
    port: Flags.integer({ min: 1, max: 65535, helpValue: 'PORT', description: "the port here [default: the part's own]" }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PortForward);
    this.use(flags);
    const part = args.part as PartName;
    const { cluster, namespace } = await this.where(flags);
    await readyPodOf(cluster, namespace, part);
    const port = flags.port ?? PARTS[part].port;
    const server = createServer({ allowHalfOpen: true }, async (client) => {
      try {
        // A pod may have gone since the last connection.
        const pod = await readyPodOf(cluster, namespace, part);
        const stream = await openPort(cluster, { namespace, pod, port: PARTS[part].port });
        client.on('error', () => stream.destroy());
        stream.on('error', () => client.destroy());
        client.pipe(stream).pipe(client);
      } catch (error) {
        this.note(error instanceof Error ? error.message : String(error));
        client.destroy();
      }
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Failure(`Port ${port} can not be used (${error.code}): choose another with --port.`, EXIT.usage)),
      );
      server.listen(port, '127.0.0.1', resolve);
    });
    this.say(`http${part === 'etcd' ? 's' : ''}://127.0.0.1:${port} is the ${part}. Ctrl-C ends it.`);
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    });
    process.exit(EXIT.done);
  }
}
