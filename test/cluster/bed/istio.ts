import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { Manifest, Objects } from '../../support/kubernetes-objects.ts';
import { until } from '../../support/processes.ts';
import { type Daemons, run } from './commands.ts';
import { PROXY_IMAGE } from './containers.ts';
import { NODE_IP } from './network.ts';

export interface IstioOptions {
  readonly folder: string;
  readonly built: string;
  readonly daemons: Daemons;
  readonly kubeconfig: string;
  readonly objects: Objects;
}

/** What Istio's installation has, but as a process here and not as a Deployment. */
const IN_THE_CLUSTER = new Set([
  'CustomResourceDefinition',
  'ConfigMap',
  'ServiceAccount',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'MutatingWebhookConfiguration',
]);

const SYSTEM = 'istio-system';

/** istiod with its certificate authority, mTLS and the injection webhook. To be started inside the bed's network namespace. */
export async function startIstio(options: IstioOptions): Promise<void> {
  const { folder, built, daemons, kubeconfig, objects } = options;
  mkdirSync(join(folder, 'istio'), { recursive: true });
  const manifests = installation(folder, built);
  await objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM } });
  const definitions = manifests.filter(({ kind }) => kind === 'CustomResourceDefinition');
  await Promise.all(definitions.map((one) => objects.apply(one)));
  for (const one of manifests.filter(({ kind }) => kind !== 'CustomResourceDefinition')) await objects.apply(one);
  // istiod is on the node, where no selector finds it.
  const ports = [
    { name: 'grpc-xds', port: 15010 },
    { name: 'https-dns', port: 15012 },
    { name: 'https-webhook', port: 443, targetPort: 15017 },
    { name: 'http-monitoring', port: 15014 },
  ];
  await objects.apply({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'istiod', namespace: SYSTEM }, spec: { ports } });
  await objects.apply({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'istiod', namespace: SYSTEM, labels: { 'kubernetes.io/service-name': 'istiod' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [NODE_IP], conditions: { ready: true } }],
    ports: ports.map(({ name, port, targetPort }) => ({ name, port: targetPort ?? port, protocol: 'TCP' })),
  });
  const mesh = join(folder, 'istio', 'mesh.yaml');
  writeFileSync(mesh, stringify(MESH));
  daemons.start(
    'istiod',
    join(built, 'pilot-discovery'),
    [
      'discovery',
      `--kubeconfig=${kubeconfig}`,
      `--meshConfig=${mesh}`,
      '--networksConfig=/dev/null',
      `--grpcAddr=${NODE_IP}:15010`,
      '--httpAddr=127.0.0.1:8080',
      `--httpsAddr=${NODE_IP}:15017`,
      `--secureGRPCAddr=${NODE_IP}:15012`,
      `--monitoringAddr=127.0.0.1:15014`,
      '--ctrlz_address=127.0.0.1',
      '--domain=cluster.local',
      '--clusterID=Kubernetes',
    ],
    {
      POD_NAMESPACE: SYSTEM,
      POD_NAME: 'istiod-0',
      CLUSTER_ID: 'Kubernetes',
      REVISION: 'default',
      CLOUD_PLATFORM: 'none',
      // Extensions that upstream Envoy lacks.
      PILOT_ENABLE_METADATA_EXCHANGE: 'false',
      PILOT_ENABLE_ALPN_FILTER: 'false',
      PILOT_ENABLE_GATEWAY_API: 'false',
      PILOT_ENABLE_ANALYSIS: 'false',
      VALIDATION_WEBHOOK_CONFIG_NAME: '',
      INJECTION_WEBHOOK_CONFIG_NAME: 'istio-sidecar-injector',
    },
  );
  await until(
    async () => {
      const hook = await objects.get({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: 'istio-sidecar-injector' },
      });
      return String(hook?.webhooks?.[0]?.clientConfig?.caBundle ?? '').length > 20;
    },
    "istiod signed its webhook's certificate",
    60_000,
  );
  await until(() => accepts(NODE_IP, 15017), "istiod's webhook serves", 60_000);
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

const MESH = {
  trustDomain: 'cluster.local',
  rootNamespace: SYSTEM,
  enableAutoMtls: true,
  enablePrometheusMerge: true,
  defaultProviders: {},
  outboundTrafficPolicy: { mode: 'ALLOW_ANY' },
  accessLogFile: '/dev/stdout',
  defaultConfig: { discoveryAddress: `istiod.${SYSTEM}.svc:15012`, holdApplicationUntilProxyStarts: true, concurrency: 2 },
};

function installation(folder: string, built: string): Manifest[] {
  const file = join(folder, 'istio', 'operator.yaml');
  writeFileSync(
    file,
    stringify({
      apiVersion: 'install.istio.io/v1alpha1',
      kind: 'IstioOperator',
      spec: {
        profile: 'minimal',
        hub: PROXY_IMAGE.hub,
        tag: PROXY_IMAGE.tag,
        meshConfig: MESH,
        values: {
          global: {
            imagePullPolicy: 'IfNotPresent',
            proxy: { image: 'proxyv2', resources: { requests: { cpu: '10m', memory: '40Mi' } } },
            proxy_init: { image: 'proxyv2' },
          },
        },
      },
    }),
  );
  const rendered = run(join(built, 'istioctl'), ['manifest', 'generate', '-f', file]);
  writeFileSync(join(folder, 'istio', 'rendered.yaml'), rendered);
  return parseAllDocuments(rendered)
    .map((document) => document.toJS() as Manifest)
    .filter((one) => one !== null && IN_THE_CLUSTER.has(one.kind));
}

/** Istio's bootstrap for Envoy, which pilot-agent fills in. */
export function bootstrapTemplate(modules: string): string {
  const module = run('go', ['list', '-m', '-f', '{{.Dir}}', 'istio.io/istio'], { cwd: join(modules, 'istio') }).trim();
  const path = join(module, 'tools', 'packaging', 'common', 'envoy_bootstrap.json');
  readFileSync(path);
  return path;
}
