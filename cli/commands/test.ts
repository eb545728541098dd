import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { Flags } from '@oclif/core';
import { type Client, Refusal, taken } from '../client.ts';
import { isReady, nameOf, podsOf } from '../cluster/cluster.ts';
import { ClusterCommand } from '../cluster/command.ts';
import { fetchFromPod } from '../cluster/fetch.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { faultMetrics } from '../fault-metrics.ts';
import { waitForRollout } from '../rollout.ts';

const POLICY = 'hfi-test';
/** Should this command be killed, the fault ends by itself. */
const DURATION_SECONDS = 60;
const STATUS = 418;

export default class Test extends ClusterCommand {
  static override summary = 'Prove on the live cluster that faults work: break the demo app, see it, and mend it.';
  static override description =
    'Applies the policy hfi-test to the demo backend, asks the demo frontend, looks at the metric, deletes the policy and asks again. Ctrl-C cleans up too; and the fault ends after a minute by itself.';
  static override examples = [{ description: 'Does it work, end to end?', command: '<%= config.bin %> test' }];
  static override flags = {
    namespace: Flags.string({ default: 'demo', helpValue: 'NAME', description: "The demo app's namespace." }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Test);
    this.use(flags);
    const target = this.target(flags);
    const client = this.client(flags);
    const { cluster } = await this.where(flags);
    const demo = await demoIn(cluster, flags.namespace);
    const ended = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort());

    const steps = async (): Promise<void> => {
      await this.step('the demo answers without a fault', async () => {
        const status = await demo.backendStatus();
        if (status !== 200) throw new Error(`the frontend says of the backend: ${status}`);
      });
      const before = await demo.aborts();
      await this.step('a policy is in force on the backend', async () => {
        const { policy } = await taken(
          await client.v1.policies[':name'].$put(
            { param: { name: POLICY }, query: {}, json: policyFor(flags.namespace) as never },
            { headers: { 'content-type': 'application/json' } },
          ),
        );
        const rollout = await waitForRollout(target, policy.metadata.resourceVersion, POLICY, performance.now() + target.timeoutMs);
        if (rollout.selected === 0) throw new Error('it selects no connected proxy: see hfi doctor');
        if (!rollout.done) throw new Error(`not acknowledged: ${rollout.pending.join(', ')}`);
      });
      await this.step('the frontend sees the fault', async () => {
        const status = await demo.backendStatus();
        if (status !== STATUS) throw new Error(`the frontend says of the backend: ${status}, and not ${STATUS}`);
      });
      await this.step('the metric counts it', async () => {
        const after = await demo.aborts();
        if (!(after > before)) throw new Error(`${before} before and ${after} after: see hfi doctor`);
      });
    };
    const stopped = new Promise<never>((_, reject) => {
      ended.signal.addEventListener('abort', () => reject(new Failure('Ended before its end.', EXIT.refused)), { once: true });
    });
    try {
      await Promise.race([steps(), stopped]);
    } finally {
      await this.step('the policy is deleted, and the demo answers again', () => mended(client, demo));
    }
    this.note('Everything works.');
  }

  private async step(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(`${what}: no: ${(error as Error).message}`, EXIT.refused);
    }
    this.say(`ok  ${what}`);
  }
}

function policyFor(namespace: string): object {
  return {
    metadata: { name: POLICY },
    spec: {
      selector: { namespace, service: 'backend' },
      priority: 1_000_000,
      rules: [{ fault: { abort: { httpStatus: STATUS }, duration_seconds: DURATION_SECONDS } }],
    },
  };
}

async function mended(client: Client, demo: Demo): Promise<void> {
  try {
    await taken(await client.v1.policies[':name'].$delete({ param: { name: POLICY } }));
  } catch (error) {
    if (!(error instanceof Refusal) || error.exit !== EXIT.notFound) throw error;
  }
  for (let tries = 0; (await demo.backendStatus()) !== 200; tries++) {
    if (tries === 20) throw new Error('the fault is still there after 2 s');
    await sleep(100);
  }
}

interface Demo {
  /** What the frontend got from the backend. */
  backendStatus(): Promise<number | string>;
  /** Requests that the backend's proxies aborted since they started. */
  aborts(): Promise<number>;
}

async function demoIn(cluster: KubeConfig, namespace: string): Promise<Demo> {
  const ready = async (app: string): Promise<string[]> => {
    const pods = (await podsOf(cluster, namespace, `app=${app}`)).filter(isReady).map(nameOf);
    if (pods.length === 0)
      throw new Failure(`The demo's ${app} is not ready in namespace ${namespace}: set demo.enabled, or see hfi doctor.`, EXIT.notFound);
    return pods;
  };
  const [frontend = ''] = await ready('frontend');
  const backends = await ready('backend');
  return {
    async backendStatus() {
      const answer = await fetchFromPod(cluster, { namespace, pod: frontend, port: 8080 }, '/');
      return ((await answer.json()) as { backend: { status: number | string } }).backend.status;
    },
    async aborts() {
      const pages = await Promise.all(backends.map((pod) => fetchFromPod(cluster, { namespace, pod, port: 15020 }, '/stats/prometheus')));
      const counts = await Promise.all(pages.map(async (page) => faultMetrics(await page.text())?.aborts ?? 0));
      return counts.reduce((sum, one) => sum + one, 0);
    },
  };
}
