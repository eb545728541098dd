import type { KubeConfig } from '@kubernetes/client-node';
import { factsOf } from '../../components/cluster-facts.ts';
import type { TargetFlags } from '../base.ts';
import { taken } from '../client.ts';
import { answered, podsOf } from '../cluster/cluster.ts';
import { ClusterCommand } from '../cluster/command.ts';
import { fetchFromPod } from '../cluster/fetch.ts';
import { pluginsOf, sidecarsOf } from '../cluster/sidecars.ts';
import { type Check, failed, ok } from '../doctor/check.ts';
import { partChecks } from '../doctor/parts.ts';
import { type Known, metricsCheck, pluginChecks, proxyChecks } from '../doctor/proxies.ts';
import { versionChecks } from '../doctor/versions.ts';
import { EXIT } from '../exit-codes.ts';
import { faultMetrics } from '../fault-metrics.ts';

/** So many sidecars are asked for their metrics: one that doesn't show them is seldom alone. */
const SAMPLE = 5;
const MARKS = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' } as const;

export default class Doctor extends ClusterCommand {
  static override summary = 'Look at everything that must work, and say what to do about what does not.';
  static override description = 'Exit code 1 when something failed. docs/troubleshooting.md says the same by symptom.';
  static override examples = [{ description: 'Why are there no faults?', command: '<%= config.bin %> doctor' }];

  async run(): Promise<void> {
    const { flags } = await this.parse(Doctor);
    this.use(flags);
    const { cluster, namespace } = await this.where(flags);
    const checks: Check[] = [];
    const add = (found: readonly Check[]): void => {
      checks.push(...found);
      if (this.format === 'table') for (const one of found) this.tell(one);
    };
    add(versionChecks(await answered(factsOf(cluster, []))));
    add(partChecks(namespace, await podsOf(cluster, namespace)));
    const asked = await this.askControlPlane(flags);
    add(asked.checks);
    const sidecars = await sidecarsOf(cluster);
    if (asked.proxies !== undefined) {
      add(pluginChecks(sidecars, await pluginsOf(cluster), asked.proxies));
      add(proxyChecks(asked.proxies, asked.version));
    }
    add([await this.metrics(cluster, sidecars)]);
    if (this.format !== 'table') await this.printValue({ items: checks });
    if (checks.some(({ state }) => state === 'failed')) process.exitCode = EXIT.refused;
  }

  private tell({ name, state, finding, fix }: Check): void {
    this.say(`${MARKS[state]}  ${name.padEnd(16)} ${finding}`);
    if (fix !== null) this.say(`${' '.repeat(26)}→ ${fix}`);
  }

  /** The third classic trouble: a control plane that can't be reached. */
  private async askControlPlane(flags: TargetFlags): Promise<{ checks: Check[]; proxies?: readonly Known[]; version: string }> {
    const name = 'control plane';
    try {
      const client = this.client(flags);
      const status = await taken(await client.v1.status.$get({ query: {} }));
      const { items } = await taken(await client.v1.proxies.$get({ query: {} }));
      const reached =
        status.incomplete.length === 0
          ? ok(name, `answers, version ${status.version}`)
          : failed(
              name,
              `replica ${status.incomplete.join(', ')} does not answer the others`,
              'See that no NetworkPolicy of yours is between them.',
            );
      const etcd = status.etcd.reachable
        ? ok('etcd answers', `revision ${status.etcd.revision}`)
        : failed('etcd answers', 'no', 'hfi logs etcd');
      return { checks: [reached, etcd], proxies: items, version: status.version };
    } catch (error) {
      const fix = 'hfi context add --stack NAME makes hfi find it; hfi logs control-plane says why it does not answer.';
      return { checks: [failed(name, (error as Error).message, fix)], version: '' };
    }
  }

  private async metrics(cluster: KubeConfig, sidecars: readonly { namespace: string; pod: string }[]): Promise<Check> {
    const sample = sidecars.slice(0, SAMPLE);
    const pages = await Promise.all(
      sample.map(async ({ namespace, pod }) => {
        try {
          return await (await fetchFromPod(cluster, { namespace, pod, port: 15020 }, '/stats/prometheus')).text();
        } catch {
          return '';
        }
      }),
    );
    return metricsCheck(sample.length, pages.filter((page) => faultMetrics(page) !== undefined).length);
  }
}
