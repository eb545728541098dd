import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KubeConfig, VersionApi } from '@kubernetes/client-node';
import { Objects } from '../../support/kubernetes-objects.ts';
import { until } from '../../support/processes.ts';
import type { Daemons } from './commands.ts';
import type { Containers } from './containers.ts';
import { NODE_IP, POD_SUBNET, SERVICE_SUBNET } from './network.ts';

const NODE = 'hfi-node';
const ADMIN_TOKEN = 'bed-admin';
/** A user who may look at everything and change nothing. */
const VIEWER_TOKEN = 'bed-viewer';

export interface KubernetesOptions {
  readonly folder: string;
  /** Folder with the binaries. */
  readonly built: string;
  readonly daemons: Daemons;
  readonly containers: Containers;
}

/** A single-node Kubernetes. To be started inside the bed's network namespace. */
export class Kubernetes {
  readonly kubeconfig: string;
  /** The kubeconfig of a user who may only look. */
  readonly viewerKubeconfig: string;
  readonly objects: Objects;
  readonly cluster: KubeConfig;

  private constructor(folder: string) {
    const write = (name: string, token: string): string => {
      const path = join(folder, name);
      const document = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'bed', cluster: { server: `https://${NODE_IP}:6443`, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'user', user: { token } }],
        contexts: [{ name: 'bed', context: { cluster: 'bed', user: 'user' } }],
        'current-context': 'bed',
      };
      writeFileSync(path, JSON.stringify(document), { mode: 0o600 });
      return path;
    };
    this.kubeconfig = write('kubeconfig.yaml', ADMIN_TOKEN);
    this.viewerKubeconfig = write('viewer.yaml', VIEWER_TOKEN);
    this.cluster = new KubeConfig();
    this.cluster.loadFromFile(this.kubeconfig);
    this.objects = new Objects(this.cluster);
  }

  static async start(options: KubernetesOptions): Promise<Kubernetes> {
    const { folder, built, daemons } = options;
    const kubernetes = new Kubernetes(folder);
    const certificates = join(folder, 'certificates');
    mkdirSync(certificates, { recursive: true });
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(join(certificates, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(join(certificates, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(
      join(certificates, 'tokens.csv'),
      `${ADMIN_TOKEN},admin,admin,"system:masters"\n${VIEWER_TOKEN},viewer,viewer,"viewers"\n`,
    );
    daemons.start('etcd', join(built, 'etcd'), [
      `--data-dir=${join(folder, 'etcd-data')}`,
      '--listen-client-urls=http://127.0.0.1:2379',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:2380',
      '--unsafe-no-fsync',
    ]);
    daemons.start('kube-apiserver', join(built, 'kube-apiserver'), [
      '--etcd-servers=http://127.0.0.1:2379',
      `--bind-address=${NODE_IP}`,
      `--advertise-address=${NODE_IP}`,
      '--secure-port=6443',
      `--cert-dir=${certificates}`,
      `--service-cluster-ip-range=${SERVICE_SUBNET}`,
      '--authorization-mode=RBAC',
      `--token-auth-file=${certificates}/tokens.csv`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${certificates}/sa.pub`,
      `--service-account-signing-key-file=${certificates}/sa.key`,
      '--kubelet-preferred-address-types=InternalIP',
      '--shutdown-delay-duration=0s',
    ]);
    const version = kubernetes.cluster.makeApiClient(VersionApi);
    await until(
      () =>
        version.getCode().then(
          () => true,
          () => false,
        ),
      'the API server answers',
      60_000,
    );
    await until(
      () =>
        kubernetes.objects.list('rbac.authorization.k8s.io/v1', 'ClusterRole').then(
          (roles) => roles.length > 30,
          () => false,
        ),
      'the API server is ready',
      60_000,
    );
    daemons.start('kube-controller-manager', join(built, 'kube-controller-manager'), [
      `--kubeconfig=${kubernetes.kubeconfig}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--service-account-private-key-file=${certificates}/sa.key`,
      `--root-ca-file=${certificates}/apiserver.crt`,
      // Volumes in folders of this machine: there is nothing else that could make them.
      '--enable-hostpath-provisioner=true',
      '--node-monitor-grace-period=60s',
      '--concurrent-deployment-syncs=5',
    ]);
    daemons.start('kube-scheduler', join(built, 'kube-scheduler'), [
      `--kubeconfig=${kubernetes.kubeconfig}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
    ]);
    kubernetes.#startNode(options);
    await kubernetes.#prepare();
    return kubernetes;
  }

  #startNode({ folder, built, daemons, containers }: KubernetesOptions): void {
    const path = (name: string): string => join(folder, name);
    writeFileSync(path('resolv.conf'), `nameserver ${NODE_IP}\n`);
    writeFileSync(
      path('kubelet.json'),
      JSON.stringify({
        apiVersion: 'kubelet.config.k8s.io/v1beta1',
        kind: 'KubeletConfiguration',
        failCgroupV1: false,
        cgroupDriver: 'cgroupfs',
        cgroupsPerQOS: false,
        enforceNodeAllocatable: [],
        containerRuntimeEndpoint: `unix://${containers.socket}`,
        authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
        authorization: { mode: 'AlwaysAllow' },
        address: NODE_IP,
        failSwapOn: false,
        podLogsDir: path('pod-logs'),
        volumePluginDir: path('volume-plugins'),
        resolvConf: path('resolv.conf'),
        clusterDomain: 'cluster.local',
        clusterDNS: [NODE_IP],
        registerNode: true,
        maxPods: 60,
        evictionHard: { 'memory.available': '100Mi' },
        imageGCHighThresholdPercent: 100,
      }),
    );
    daemons.start('kubelet', join(built, 'kubelet'), [
      `--config=${path('kubelet.json')}`,
      `--kubeconfig=${this.kubeconfig}`,
      `--root-dir=${path('kubelet')}`,
      `--cert-dir=${path('kubelet-pki')}`,
      `--hostname-override=${NODE}`,
      `--node-ip=${NODE_IP}`,
    ]);
    writeFileSync(
      path('kube-proxy.json'),
      JSON.stringify({
        apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
        kind: 'KubeProxyConfiguration',
        mode: 'iptables',
        bindAddress: NODE_IP,
        healthzBindAddress: '',
        metricsBindAddress: '127.0.0.1:10249',
        hostnameOverride: NODE,
        clientConnection: { kubeconfig: this.kubeconfig },
        clusterCIDR: POD_SUBNET,
        conntrack: { maxPerCore: 0 },
      }),
    );
    daemons.start('kube-proxy', join(built, 'kube-proxy'), [`--config=${path('kube-proxy.json')}`]);
    writeFileSync(
      path('Corefile'),
      `.:53 {\n  bind ${NODE_IP}\n  errors\n  kubernetes cluster.local {\n    kubeconfig ${this.kubeconfig}\n    ttl 1\n  }\n}\n`,
    );
    daemons.start('coredns', join(built, 'coredns'), [`-conf=${path('Corefile')}`]);
  }

  async #prepare(): Promise<void> {
    await this.objects.apply({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'folders', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'kubernetes.io/host-path',
    });
    await this.objects.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'viewers' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'viewers' }],
    });
    await until(
      async () => {
        const [node] = await this.objects.list('v1', 'Node');
        return (
          node?.status?.conditions?.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True') === true
        );
      },
      'the node is ready',
      90_000,
    );
  }
}
