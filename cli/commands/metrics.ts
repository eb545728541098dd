import { ask } from '../ask.ts';
import { ClusterCommand } from '../cluster/command.ts';
import { fetchFromPod } from '../cluster/fetch.ts';
import { sidecarsOf } from '../cluster/sidecars.ts';
import { readContexts } from '../contexts.ts';
import { type FaultMetrics, faultMetrics } from '../fault-metrics.ts';
import { sandboxFolder } from '../sandbox/project.ts';
import { runningSandbox } from '../sandbox/state.ts';

/** Istio's page of a pod: the app's and the sidecar's metrics together. */
const MERGED_PORT = 15020;
const PATH = '/stats/prometheus';

interface Row extends Partial<FaultMetrics> {
  readonly proxy: string;
  readonly namespace: string;
  /** Why there are no figures; null when there are. */
  readonly trouble: string | null;
}

interface Source {
  readonly proxy: string;
  readonly namespace: string;
  page(): Promise<string>;
}

export default class Metrics extends ClusterCommand {
  static override summary = 'Show what each proxy injected: its three fault metrics.';
  static override description = "The figures are Envoy's own counters since it started; docs/metrics.md has all of them.";
  static override examples = [{ description: 'How many requests were hit, by whom', command: '<%= config.bin %> metrics' }];

  async run(): Promise<void> {
    const { flags } = await this.parse(Metrics);
    this.use(flags);
    const sources = await this.sources(flags);
    const items = await Promise.all(sources.map(readRow));
    if (items.length === 0 && this.format === 'table')
      return this.note('No pod with a sidecar is in a namespace with the filter. See: hfi doctor');
    const figure = (value: number | undefined): string => (value === undefined ? '-' : String(Math.round(value)));
    await this.print({ items }, items, [
      { title: 'proxy', of: ({ proxy }) => proxy },
      { title: 'namespace', of: ({ namespace }) => namespace },
      { title: 'aborts', of: ({ aborts }) => figure(aborts) },
      { title: 'delays', of: ({ delays }) => figure(delays) },
      { title: 'delayed ms', of: ({ delayMs }) => figure(delayMs) },
      { title: '', of: ({ trouble }) => trouble ?? '' },
    ]);
  }

  private async sources(flags: Parameters<ClusterCommand['where']>[0]): Promise<Source[]> {
    const { contexts, current } = readContexts();
    const name = flags.context ?? current;
    const sandbox = runningSandbox(sandboxFolder());
    // The sandbox's context says nothing of a cluster.
    if (
      name !== undefined &&
      contexts[name]?.cluster === undefined &&
      contexts[name]?.url === sandbox?.controlPlaneUrl &&
      sandbox !== undefined
    ) {
      return sandbox.proxies.map((proxy) => ({
        proxy: proxy.name,
        namespace: proxy.namespace,
        page: async () => (await ask(`${proxy.adminUrl}${PATH}`, {}, 5000)).text(),
      }));
    }
    const { cluster } = await this.where(flags);
    return (await sidecarsOf(cluster)).map(({ namespace, pod }) => ({
      proxy: pod,
      namespace,
      page: async () => (await fetchFromPod(cluster, { namespace, pod, port: MERGED_PORT }, PATH)).text(),
    }));
  }
}

async function readRow({ proxy, namespace, page }: Source): Promise<Row> {
  try {
    const found = faultMetrics(await page());
    return found === undefined
      ? { proxy, namespace, trouble: 'shows no metric of the filter' }
      : { proxy, namespace, ...found, trouble: null };
  } catch (error) {
    return { proxy, namespace, trouble: `can not be asked (${(error as Error).message})` };
  }
}
