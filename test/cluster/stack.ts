import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api, type KubeConfig } from '@kubernetes/client-node';
import { isReady, nameOf, openCluster, podsOf } from '../../cli/cluster/cluster.ts';
import { openPort } from '../../cli/cluster/port.ts';
import { type Manifest, Objects } from '../support/kubernetes-objects.ts';
import { until } from '../support/processes.ts';
import { injectedNamespace, SHOP, service } from './workloads/workloads.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const FOLDER = join(ROOT, '.hfi', 'cluster', 'stack');
const NAME = 'cluster-test';
const STAND_IN = join(ROOT, 'test', 'support', 'kubernetes-provider');

export interface Ended {
  readonly code: number | null;
  /** Both streams, as a terminal would show them. */
  readonly output: string;
  readonly stdout: string;
  readonly ms: number;
}

export interface Setting {
  readonly folder?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** The stack under test, in the cluster that KUBECONFIG names, by the real Pulumi engine. One for all the test files. */
export class TestStack {
  readonly cluster: KubeConfig;
  readonly objects: Objects;
  /** Which Kubernetes provider runs. */
  readonly provider: string;
  /** For pulumi and hfi. */
  readonly env: NodeJS.ProcessEnv;

  private constructor(cluster: KubeConfig, env: NodeJS.ProcessEnv, provider: string) {
    this.cluster = cluster;
    this.objects = new Objects(cluster);
    this.env = env;
    this.provider = provider;
  }

  static async open(): Promise<TestStack> {
    const cluster = await openCluster({ context: process.env.HFI_TEST_CONTEXT });
    rmSync(FOLDER, { recursive: true, force: true });
    mkdirSync(join(FOLDER, 'state'), { recursive: true });
    const plugins = join(homedir(), '.pulumi', 'plugins');
    const installed = existsSync(plugins) && readdirSync(plugins).some((name) => name.startsWith('resource-kubernetes-'));
    const provider = installed ? 'the installed plugin' : 'the stand-in of test/support/kubernetes-provider';
    const env = {
      ...process.env,
      PULUMI_BACKEND_URL: `file://${join(FOLDER, 'state')}`,
      PULUMI_CONFIG_PASSPHRASE: 'of the test',
      PULUMI_SKIP_UPDATE_CHECK: '1',
      HFI_CONFIG: join(FOLDER, 'contexts.json'),
      ...(installed
        ? {}
        : {
            PULUMI_HOME: join(FOLDER, 'home'),
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: '1',
            HFI_TEST_READY_SECONDS: '90',
            PATH: `${STAND_IN}:${process.env.PATH}`,
          }),
    };
    process.stdout.write(`  Kubernetes provider: ${provider}\n`);
    const stack = new TestStack(cluster, env, provider);
    rmSync(join(ROOT, `Pulumi.${NAME}.yaml`), { force: true });
    await stack.must(['stack', 'init', NAME]);
    await stack.must(['config', 'set', '--path', 'mesh.namespaces[0]', SHOP]);
    await stack.must(['config', 'set', 'readyWithin', '90s']);
    return stack;
  }

  /** Runs pulumi, in the project's own folder with the stack's environment unless told otherwise. */
  pulumi(args: readonly string[], { folder = ROOT, env = {} }: Setting = {}): Promise<Ended> {
    return run('pulumi', [...args, '--non-interactive'], folder, { ...this.env, ...env }, 180);
  }

  /** The same; throws with what it said when it fails. */
  async must(args: readonly string[], setting?: Setting): Promise<Ended> {
    const ended = await this.pulumi(args, setting);
    if (ended.code !== 0) throw new Error(`pulumi ${args.join(' ')} ended with ${ended.code}:\n${ended.output.slice(-4000)}`);
    return ended;
  }

  up(folder = ROOT): Promise<Ended> {
    return this.must(['up', '--yes', '--skip-preview', '--stack', NAME], { folder });
  }

  set(key: string, value: string): Promise<Ended> {
    return this.must(['config', 'set', '--path', key, value]);
  }

  hfi(args: readonly string[], seconds = 60): Promise<Ended> {
    return run(process.execPath, [join(ROOT, 'bin', 'hfi.js'), ...args], ROOT, this.env, seconds);
  }

  /** What hfi prints as JSON, once every replica of the control plane has its part in it. */
  async data<T extends object>(args: readonly string[]): Promise<T> {
    let found: T & { readonly incomplete?: readonly string[] } = {} as T;
    let said = '';
    await until(
      async () => {
        const { code, stdout, output } = await this.hfi([...args, '-o', 'json']);
        said = output;
        if (code === 0) found = JSON.parse(stdout);
        return code === 0 && (found.incomplete ?? []).length === 0;
      },
      () => `hfi ${args.join(' ')} tells of all replicas: ${said}`,
      30_000,
    );
    return found;
  }

  /** The stack's outputs, secrets too. */
  async outputs(): Promise<Record<string, string>> {
    return JSON.parse((await this.must(['stack', 'output', '--json', '--show-secrets'])).stdout);
  }

  /** Applies a policy and waits until all run it. */
  async apply(name: string, spec: object): Promise<void> {
    const file = join(FOLDER, 'policy.json');
    writeFileSync(file, JSON.stringify({ metadata: { name }, spec }));
    const ended = await this.hfi(['policy', 'apply', '-f', file, '--wait']);
    if (ended.code !== 0) throw new Error(ended.output);
  }

  async deletePolicy(name: string): Promise<void> {
    const ended = await this.hfi(['policy', 'delete', name, '--yes', '--wait']);
    if (ended.code !== 0) throw new Error(ended.output);
  }

  /** A caller, and services to call: `callee` three times, `bystander` once. */
  async openShop(): Promise<void> {
    await this.objects.apply(injectedNamespace(SHOP));
    const wanted = [...service('caller', 1), ...service('callee', 3), ...service('bystander', 1)];
    for (const one of wanted) await this.objects.apply(one);
    for (const [name, count] of [
      ['caller', 1],
      ['callee', 3],
      ['bystander', 1],
    ] as const) {
      await this.readyPods(SHOP, `app=${name}`, count);
    }
  }

  /** Names of the ready pods, once there are so many and no others. */
  async readyPods(namespace: string, selector: string, count: number, ms = 90_000): Promise<string[]> {
    let pods: Manifest[] = [];
    await until(
      async () => {
        pods = await podsOf(this.cluster, namespace, selector);
        return pods.length === count && pods.every(isReady);
      },
      `${count} pods ${selector} of ${namespace} are ready`,
      ms,
    );
    return pods.map(nameOf);
  }

  async scale(kind: 'Deployment' | 'StatefulSet', namespace: string, name: string, replicas: number): Promise<void> {
    await this.objects.raw('PATCH', `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`, { spec: { replicas } });
  }

  async deletePod(namespace: string, name: string, graceSeconds?: number): Promise<void> {
    const grace = graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds };
    await this.objects.raw('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, grace);
  }

  /** What a pod with one container has written. */
  log(namespace: string, name: string): Promise<string> {
    return this.cluster.makeApiClient(CoreV1Api).readNamespacedPodLog({ namespace, name });
  }

  /** What an HTTP port of a pod answers, asked from inside the pod. */
  async ask(namespace: string, pod: string, port: number, path: string, body?: object): Promise<string> {
    const stream = await openPort(this.cluster, { namespace, pod, port });
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          path,
          method: body === undefined ? 'GET' : 'POST',
          createConnection: () => stream,
          headers: { host: 'pod', connection: 'close' },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => {
            resolve(Buffer.concat(chunks).toString());
            stream.destroy();
          });
          answer.on('error', reject);
        },
      );
      asked.on('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Gives the caller's pod an order (`workloads/pod.mjs`). */
  async caller(path: '/burst' | '/start' | '/stop', order: object = {}): Promise<Record<string, number>> {
    const [pod] = await this.readyPods(SHOP, 'app=caller', 1);
    return JSON.parse(await this.ask(SHOP, pod ?? '', 8080, path, order));
  }

  /** Sends requests from the caller to a service, at the given rate, while something is done. @returns what came back, by its count */
  async during(to: string, rate: number, work: () => Promise<void>): Promise<Record<string, number>> {
    await this.caller('/start', { url: urlOf(to), rate });
    let counts: Record<string, number> = {};
    try {
      await work();
    } finally {
      counts = await this.caller('/stop');
    }
    return counts;
  }
}

export function urlOf(name: string, namespace = SHOP): string {
  return `http://${name}.${namespace}.svc.cluster.local:8080/`;
}

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv, seconds: number): Promise<Ended> {
  const begun = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    let stdout = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    // With all that it started: the engine waits for plugins, also when they hang.
    const late = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), seconds * 1000);
    child.on('close', (code) => {
      clearTimeout(late);
      resolve({ code, output, stdout, ms: performance.now() - begun });
    });
  });
}

let opened: Promise<TestStack> | undefined;

/** The one stack of this run. */
export function theStack(): Promise<TestStack> {
  opened ??= TestStack.open();
  return opened;
}
