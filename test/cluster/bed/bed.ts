import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../support/processes.ts';
import { Daemons } from './commands.ts';
import { type Binaries, Containers, unmountBelow } from './containers.ts';
import { startIstio } from './istio.ts';
import { Kubernetes } from './kubernetes.ts';

/**
 * A complete single-node cluster: API server, controllers, kubelet, containerd, kube-proxy, CoreDNS, istiod. Everything is in one
 * folder and one network namespace, inside of which this must run.
 */
export class Bed {
  readonly kubernetes: Kubernetes;
  readonly #folder: string;
  readonly #daemons: Daemons;
  readonly #containers: Containers;

  private constructor(folder: string, daemons: Daemons, containers: Containers, kubernetes: Kubernetes) {
    this.#folder = folder;
    this.#daemons = daemons;
    this.#containers = containers;
    this.kubernetes = kubernetes;
  }

  static async up(folder: string, binaries: Binaries, say: (what: string) => void): Promise<Bed> {
    const from = performance.now();
    const step = (what: string): void => say(`${((performance.now() - from) / 1000).toFixed(1)} s  ${what}`);
    clean(folder);
    mkdirSync(folder, { recursive: true });
    const daemons = new Daemons(folder);
    const containers = new Containers(folder);
    try {
      containers.start(daemons);
      await until(() => containers.isUp(), 'containerd answers', 30_000);
      containers.load(binaries);
      step('containerd runs and has the images');
      const kubernetes = await Kubernetes.start({ folder, built: binaries.built, daemons, containers });
      step('Kubernetes runs and its node is ready');
      await startIstio({ folder, built: binaries.built, daemons, kubeconfig: kubernetes.kubeconfig, objects: kubernetes.objects });
      step('istiod runs');
      setInterval(openVolumes, 100).unref();
      return new Bed(folder, daemons, containers, kubernetes);
    } catch (error) {
      containers.removeAll();
      await daemons.stopAll();
      throw error;
    }
  }

  async down(): Promise<void> {
    await this.#daemons.stop('kubelet');
    this.#containers.removeAll();
    await this.#daemons.stopAll();
    clean(this.#folder);
  }
}

/** Where the controller manager makes volumes. */
const VOLUMES = '/tmp/hostpath_pv';

/** Volumes that are folders don't get a pod's group from the kubelet, so anybody may write into them. */
function openVolumes(): void {
  if (!existsSync(VOLUMES)) return;
  for (const name of readdirSync(VOLUMES)) chmodSync(join(VOLUMES, name), 0o777);
}

/** Keeps the images and the logs, removes the rest. */
function clean(folder: string): void {
  unmountBelow(folder);
  for (const name of ['etcd-data', 'certificates', 'kubelet', 'kubelet-pki', 'cni-data', 'containerd-state', 'pod-logs', 'logs']) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}
