import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { Bundle } from './bundle.ts';
import { containerResources } from './container-resources.ts';
import { labels, podSelector } from './labels.ts';
import { restrictedContainer, restrictedPod } from './pod-security.ts';

const PORT = 8080;
/** Where an Istio sidecar tells its metrics and its health (istio.io, "Application Requirements"). */
const SIDECAR_PORTS = [15020, 15021, 15090];

export interface DemoAppArgs {
  readonly namespace: pulumi.Input<string>;
  readonly image: string;
  readonly pullSecret?: string | undefined;
  readonly bundle: Bundle;
  /** Seconds until it must be ready. */
  readonly readySeconds: number;
}

/** Two services to break: a frontend that asks a backend, with a time limit and one retry. */
export class DemoApp extends pulumi.ComponentResource {
  /** The frontend's address inside the cluster. */
  readonly frontendUrl: pulumi.Output<string>;

  constructor(name: string, args: DemoAppArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:DemoApp', name, {}, opts);
    this.#network(args.namespace);
    this.#service('backend', args, []);
    this.#service('frontend', args, [{ name: 'BACKEND_URL', value: `http://backend:${PORT}` }]);
    this.frontendUrl = pulumi.interpolate`http://frontend.${args.namespace}.svc.cluster.local:${PORT}`;
    this.registerOutputs({ frontendUrl: this.frontendUrl });
  }

  /** Anybody may call the demo and read its sidecars' metrics; what it calls itself depends on the mesh. */
  #network(namespace: pulumi.Input<string>): void {
    new k8s.networking.v1.NetworkPolicy(
      'demo',
      {
        metadata: { name: 'demo', namespace, labels: labels('demo') },
        spec: {
          podSelector: {},
          policyTypes: ['Ingress'],
          ingress: [{ ports: [PORT, ...SIDECAR_PORTS].map((port) => ({ port, protocol: 'TCP' })) }],
        },
      },
      { parent: this },
    );
  }

  #service(part: string, args: DemoAppArgs, env: k8s.types.input.core.v1.EnvVar[]): void {
    const own = { parent: this };
    const marks = { ...labels(part), app: part };
    const metadata = { name: part, namespace: args.namespace, labels: marks };
    const { initContainer, mount, volumes } = args.bundle.pod();
    const account = new k8s.core.v1.ServiceAccount(part, { metadata, automountServiceAccountToken: false }, own);
    new k8s.apps.v1.Deployment(
      part,
      {
        metadata: { ...metadata, name: `${part}-v1` },
        spec: {
          replicas: 1,
          selector: { matchLabels: podSelector(part) },
          progressDeadlineSeconds: args.readySeconds,
          template: {
            metadata: { labels: { ...marks, version: 'v1' } },
            spec: {
              serviceAccountName: account.metadata.name,
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              ...(args.pullSecret === undefined ? {} : { imagePullSecrets: [{ name: args.pullSecret }] }),
              securityContext: restrictedPod,
              initContainers: [initContainer],
              containers: [
                {
                  name: part,
                  image: args.image,
                  command: ['node', `/app/demo/${part}.cjs`],
                  env: [{ name: 'HOST', value: '0.0.0.0' }, { name: 'PORT', value: String(PORT) }, ...env],
                  ports: [{ name: 'http', containerPort: PORT }],
                  readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 2 },
                  livenessProbe: { httpGet: { path: '/livez', port: 'http' }, periodSeconds: 10 },
                  resources: containerResources(['10m', '1'], ['48Mi', '128Mi']),
                  securityContext: restrictedContainer,
                  volumeMounts: [mount],
                },
              ],
              volumes,
            },
          },
        },
      },
      { ...own, customTimeouts: { create: `${args.readySeconds}s`, update: `${args.readySeconds}s` } },
    );
    new k8s.core.v1.Service(
      part,
      { metadata, spec: { selector: podSelector(part), ports: [{ name: 'http', port: PORT, targetPort: 'http' }] } },
      own,
    );
  }
}
