import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';
import { Args, Flags } from '@oclif/core';
import { nameOf, podsOf } from '../cluster/cluster.ts';
import { ClusterCommand } from '../cluster/command.ts';
import { PARTS, type PartName } from '../cluster/control-plane.ts';
import { sidecarsOf } from '../cluster/sidecars.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';

/** A sidecar says much that isn't the filter's: its own lines, and those of Istio's agent on fetching it. */
const FILTERS_OWN = /\bhfi: |\twasm\t/;

/** A container whose log is shown. */
interface Source {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

const CONTAINERS: Readonly<Record<PartName, string>> = { 'control-plane': 'control-plane', 'wasm-server': 'nginx', etcd: 'etcd' };

export default class Logs extends ClusterCommand {
  static override summary = 'Show the logs of the filter or of a part of the stack.';
  static override examples = [
    { description: 'What the filter says in every sidecar', command: '<%= config.bin %> logs filter' },
    { description: 'The control plane, as it goes on', command: '<%= config.bin %> logs control-plane --follow' },
  ];
  static override args = {
    part: Args.string({ required: true, options: ['filter', ...Object.keys(PARTS)], description: 'whose logs' }),
  };
  static override flags = {
    follow: Flags.boolean({ description: 'Go on until Ctrl-C.' }),
    tail: Flags.integer({ default: 200, min: 1, helpValue: 'LINES', description: 'So many lines of each pod, the last ones.' }),
  };

  private shown = false;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Logs);
    this.use(flags);
    const { cluster, namespace } = await this.where(flags);
    const sources = args.part === 'filter' ? await this.sidecars(cluster) : await this.pods(cluster, namespace, args.part as PartName);
    if (sources.length === 0) throw new Failure(`There is no pod of the ${args.part}. See: hfi doctor`, EXIT.notFound);
    const wanted = args.part === 'filter' ? FILTERS_OWN : /(?:)/;
    await Promise.all(sources.map((source) => this.show(cluster, source, wanted, flags)));
    if (args.part === 'filter' && !this.shown) {
      this.note(
        'The filter said nothing: at the level of Istio’s sidecars, warning, it tells only of trouble. The pod annotation sidecar.istio.io/componentLogLevel: wasm:info makes it say more.',
      );
    }
  }

  private async sidecars(cluster: KubeConfig): Promise<Source[]> {
    return (await sidecarsOf(cluster)).map(({ namespace, pod }) => ({ namespace, pod, container: 'istio-proxy' }));
  }

  private async pods(cluster: KubeConfig, namespace: string, part: PartName): Promise<Source[]> {
    const pods = await podsOf(cluster, namespace, `app.kubernetes.io/name=${PARTS[part].label}`);
    return pods.map((pod) => ({ namespace, pod: nameOf(pod), container: CONTAINERS[part] }));
  }

  private async show(
    cluster: KubeConfig,
    { namespace, pod, container }: Source,
    wanted: RegExp,
    { follow, tail }: { readonly follow: boolean; readonly tail: number },
  ): Promise<void> {
    const { Log } = await import('@kubernetes/client-node');
    const stream = new PassThrough();
    const lines = createInterface({ input: stream });
    const shown = new Promise<void>((resolve) => lines.once('close', resolve));
    lines.on('line', (line) => {
      if (!wanted.test(line)) return;
      this.shown = true;
      this.say(`${pod}  ${line}`);
    });
    try {
      // Of a sidecar, more is read, as most lines are not the filter's.
      const tailLines = wanted.test('') ? tail : tail * 20;
      await new Log(cluster).log(namespace, pod, container, stream, { follow, tailLines });
    } catch (error) {
      this.note(`warning: ${pod}: ${(error as Error).message.split('\n')[0]}`);
      stream.end();
    }
    await shown;
  }
}
