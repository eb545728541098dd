import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { Bundle } from './bundle.ts';
import { containerResources } from './container-resources.ts';
import { type CredentialsState, type RotatingToken, TOKEN_NAMES } from './credentials.ts';
import { labels, podSelector } from './labels.ts';
import { NODE_OPTIONS } from './node-options.ts';
import { type PodAddition, together } from './pod-addition.ts';
import { restrictedContainer, restrictedPod } from './pod-security.ts';
import { proxyTokenOf } from './proxy-token.ts';
import { spread } from './scheduling.ts';

export const CONTROL_PLANE = 'hfi-control-plane';
export const CONTROL_PLANE_PORT = 8080;
const TLS = '/etc/hfi/etcd';
const TOKENS = '/etc/hfi/tokens';
/** Seconds in which the ending pod is still asked, until every proxy and Service has heard that it goes. */
const LEAVING_SECONDS = 5;
/** Seconds for answers under way after that. */
const DRAIN_SECONDS = 10;
/** Both: how long what stands before the pod must go on. */
export const ENDING_SECONDS: number = LEAVING_SECONDS + DRAIN_SECONDS;

export interface ControlPlaneArgs {
  readonly namespace: pulumi.Input<string>;
  readonly replicas: number;
  readonly logLevel: string;
  /** A prebuilt image, or the stock Node image with the bundle. */
  readonly program: { readonly image: string } | { readonly nodeImage: string; readonly bundle: Bundle };
  readonly pullSecret?: string | undefined;
  readonly etcd: {
    readonly endpoints: pulumi.Input<readonly string[]>;
    /** A Secret with `ca.crt`, and `tls.crt` and `tls.key` or `username` and `password`; none for an etcd that is open. */
    readonly secret?: pulumi.Input<string> | undefined;
    /** Which of the two the Secret has. */
    readonly login?: 'certificate' | 'password';
  };
  readonly tokens: pulumi.Input<CredentialsState['tokens']>;
  /** Namespaces whose proxies have a token of their own. */
  readonly meshNamespaces: readonly string[];
  /** The port at which replicas ask one another; the API's own if not given. */
  readonly peerPort?: number | undefined;
  /** What options add to its pods. */
  readonly additions: readonly PodAddition[];
  readonly audit: { readonly keepDays: number; readonly keepEntries: number; readonly key: pulumi.Input<string> };
  readonly history: { readonly keepDays: number; readonly keepRuns: number };
  /** Seconds until it must be ready. */
  readonly readySeconds: number;
}

/** The control plane: any replica answers anything; what it knows is in etcd. It needs nothing of the Kubernetes API but, if asked to, reviews of tokens. */
export class ControlPlane extends pulumi.ComponentResource {
  /** Its address inside the cluster. */
  readonly endpoint: pulumi.Output<string>;
  /** Its host name, which is also in the name of the cluster that Envoy has for it. */
  readonly host: pulumi.Output<string>;

  constructor(name: string, args: ControlPlaneArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:ControlPlane', name, {}, opts);
    const own = { parent: this };
    const metadata = { name: CONTROL_PLANE, namespace: args.namespace, labels: labels(CONTROL_PLANE) };

    const added = together(args.additions);
    const tokens = new k8s.core.v1.Secret(
      'tokens',
      {
        metadata: { namespace: args.namespace, labels: labels(CONTROL_PLANE) },
        stringData: {
          'tokens.json': pulumi.output(args.tokens).apply((all) => tokensFile(all, args.meshNamespaces)),
          'audit.key': args.audit.key,
        },
      },
      own,
    );
    const account = new k8s.core.v1.ServiceAccount(CONTROL_PLANE, { metadata, automountServiceAccountToken: false }, own);
    const deployment = new k8s.apps.v1.Deployment(
      CONTROL_PLANE,
      {
        metadata,
        spec: {
          replicas: args.replicas,
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: args.readySeconds,
          selector: { matchLabels: podSelector(CONTROL_PLANE) },
          template: {
            metadata: {
              labels: { ...labels(CONTROL_PLANE), ...added.labels },
              annotations: {
                'prometheus.io/scrape': 'true',
                'prometheus.io/port': String(CONTROL_PLANE_PORT),
                'prometheus.io/path': '/metrics',
                ...added.annotations,
              },
            },
            spec: podSpec(args, account.metadata.name, tokens.metadata.name),
          },
        },
      },
      { ...own, customTimeouts: { create: `${args.readySeconds}s`, update: `${args.readySeconds}s` } },
    );
    const service = new k8s.core.v1.Service(
      CONTROL_PLANE,
      {
        metadata,
        // The port's name tells Istio that it is HTTP.
        spec: {
          selector: podSelector(CONTROL_PLANE),
          ports: [{ name: 'http', port: CONTROL_PLANE_PORT, targetPort: 'http' }, ...added.servicePorts],
        },
      },
      { ...own, dependsOn: [deployment] },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      CONTROL_PLANE,
      { metadata, spec: { maxUnavailable: 1, selector: { matchLabels: podSelector(CONTROL_PLANE) } } },
      own,
    );
    this.host = pulumi.interpolate`${service.metadata.name}.${args.namespace}.svc.cluster.local`;
    this.endpoint = pulumi.interpolate`http://${this.host}:${CONTROL_PLANE_PORT}`;
    this.registerOutputs({ endpoint: this.endpoint, host: this.host });
  }
}

/**
 * Every token that is good, with its role: those of the last rotation too, so that nobody is shut out while the new ones spread. Each mesh namespace
 * has one for its proxies. The one that these are made of is good as well, for sidecars that an earlier version configured; it is in no namespace but
 * the system's.
 */
export function tokensFile(tokens: CredentialsState['tokens'], meshNamespaces: readonly string[]): string {
  const of = (name: string, secret: RotatingToken, entry: (token: string) => object): object[] => {
    const { current, previous } = secret;
    const now = { name, ...entry(current) };
    return previous === current ? [now] : [now, { name: `${name}-before-rotation`, ...entry(previous) }];
  };
  return JSON.stringify([
    ...TOKEN_NAMES.flatMap((role) => of(role, tokens[role], (token) => ({ role, token }))),
    ...meshNamespaces.flatMap((namespace) =>
      of(`proxy-${namespace}`, tokens.proxy, (secret) => ({
        role: 'proxy',
        namespaces: [namespace],
        token: proxyTokenOf(namespace, secret),
      })),
    ),
  ]);
}

function podSpec(args: ControlPlaneArgs, account: pulumi.Input<string>, tokens: pulumi.Input<string>): k8s.types.input.core.v1.PodSpec {
  const unpacked = 'bundle' in args.program ? args.program.bundle.pod() : undefined;
  const image = 'bundle' in args.program ? args.program.nodeImage : args.program.image;
  const { endpoints, secret, login = 'certificate' } = args.etcd;
  const added = together(args.additions);
  return {
    serviceAccountName: account,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(args.pullSecret === undefined ? {} : { imagePullSecrets: [{ name: args.pullSecret }] }),
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: ENDING_SECONDS + 5,
    ...spread(CONTROL_PLANE),
    ...(unpacked === undefined ? {} : { initContainers: [unpacked.initContainer] }),
    containers: [
      {
        name: 'control-plane',
        image,
        ...(unpacked === undefined ? {} : { command: ['node', '/app/control-plane/main.cjs'] }),
        env: [
          { name: 'NODE_ENV', value: 'production' },
          { name: 'NODE_OPTIONS', value: NODE_OPTIONS },
          { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'HFI_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
          { name: 'HFI_REPLICA', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'HFI_LISTEN', value: `0.0.0.0:${CONTROL_PLANE_PORT}` },
          { name: 'HFI_ADVERTISE_URL', value: `http://$(POD_IP):${args.peerPort ?? CONTROL_PLANE_PORT}` },
          { name: 'HFI_LOG_LEVEL', value: args.logLevel },
          { name: 'HFI_DRAIN_MS', value: String(DRAIN_SECONDS * 1000) },
          { name: 'HFI_TOKENS_FILE', value: `${TOKENS}/tokens.json` },
          { name: 'HFI_AUDIT_KEY_FILE', value: `${TOKENS}/audit.key` },
          { name: 'HFI_AUDIT_KEEP_DAYS', value: String(args.audit.keepDays) },
          { name: 'HFI_AUDIT_KEEP_ENTRIES', value: String(args.audit.keepEntries) },
          { name: 'HFI_HISTORY_KEEP_DAYS', value: String(args.history.keepDays) },
          { name: 'HFI_HISTORY_KEEP_RUNS', value: String(args.history.keepRuns) },
          { name: 'HFI_ETCD_ENDPOINTS', value: pulumi.output(endpoints).apply((all) => all.join(',')) },
          ...etcdLogin(secret, login),
          ...added.env,
        ],
        ports: [{ name: 'http', containerPort: CONTROL_PLANE_PORT }, ...added.ports],
        startupProbe: probe('/healthz', 1, 60),
        livenessProbe: probe('/healthz', 10, 3),
        readinessProbe: probe('/readyz', 2, 2),
        lifecycle: { preStop: { exec: { command: ['sleep', String(LEAVING_SECONDS)] } } },
        resources: containerResources(['50m', '2'], ['96Mi', '512Mi']),
        securityContext: restrictedContainer,
        volumeMounts: [
          ...(unpacked === undefined ? [] : [unpacked.mount]),
          { name: 'tokens', mountPath: TOKENS, readOnly: true },
          ...(secret === undefined ? [] : [{ name: 'etcd', mountPath: TLS, readOnly: true }]),
          ...added.mounts,
        ],
      },
    ],
    volumes: [
      ...(unpacked?.volumes ?? []),
      { name: 'tokens', secret: { secretName: tokens, defaultMode: 0o440 } },
      ...(secret === undefined ? [] : [{ name: 'etcd', secret: { secretName: secret, defaultMode: 0o440 } }]),
      ...added.volumes,
    ],
  };
}

function etcdLogin(secret: pulumi.Input<string> | undefined, login: 'certificate' | 'password'): k8s.types.input.core.v1.EnvVar[] {
  if (secret === undefined) return [];
  const authority = { name: 'HFI_ETCD_CA_FILE', value: `${TLS}/ca.crt` };
  if (login === 'certificate') {
    return [authority, { name: 'HFI_ETCD_CERT_FILE', value: `${TLS}/tls.crt` }, { name: 'HFI_ETCD_KEY_FILE', value: `${TLS}/tls.key` }];
  }
  const from = (key: string) => ({ secretKeyRef: { name: secret, key } });
  return [
    authority,
    { name: 'HFI_ETCD_USERNAME', valueFrom: from('username') },
    { name: 'HFI_ETCD_PASSWORD', valueFrom: from('password') },
  ];
}

function probe(path: string, periodSeconds: number, failureThreshold: number): k8s.types.input.core.v1.Probe {
  return { httpGet: { path, port: 'http' }, periodSeconds, failureThreshold, timeoutSeconds: 2 };
}
