import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { containerResources } from './container-resources.ts';
import type { Certificate } from './credentials.ts';
import { labels, podSelector } from './labels.ts';
import { restrictedContainer, restrictedPod } from './pod-security.ts';
import { spread } from './scheduling.ts';

const PART = 'hfi-etcd';
const PEERS = 'hfi-etcd-peers';
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
/** Health and metrics, without certificates. */
const METRICS_PORT = 2381;
const CERTIFICATES = '/etc/hfi/tls';

/** Every name by which a member is called. */
export function etcdNames(namespace: string, members: number): string[] {
  const service = [PART, `${PART}.${namespace}`, `${PART}.${namespace}.svc`, `${PART}.${namespace}.svc.cluster.local`];
  return [...service, ...memberHosts(namespace, members), 'localhost'];
}

/** The name of each member alone. */
function memberHosts(namespace: string, members: number): string[] {
  return Array.from({ length: members }, (_, i) => `${PART}-${i}.${PEERS}.${namespace}.svc`);
}

export interface EtcdArgs {
  readonly namespace: pulumi.Input<string>;
  /** The same, as a plain text: it is in every member's address. */
  readonly namespaceName: string;
  readonly image: string;
  readonly pullSecret?: string | undefined;
  readonly members: 1 | 3;
  /** The size of each member's volume. */
  readonly storage: string;
  readonly storageClass?: string | undefined;
  readonly authority: pulumi.Input<Certificate>;
  readonly server: pulumi.Input<Certificate>;
  readonly client: pulumi.Input<Certificate>;
  /** Seconds until a member must be ready. */
  readonly readySeconds: number;
}

/** etcd: members with volumes of their own, TLS between them and for clients, and only clients with our certificate. */
export class Etcd extends pulumi.ComponentResource {
  /** URLs for clients. */
  readonly endpoints: pulumi.Output<string[]>;
  /** A URL for each member, for what is said to one of them alone. */
  readonly memberEndpoints: pulumi.Output<string[]>;
  /** Name of the Secret with the client's certificate: `ca.crt`, `tls.crt`, `tls.key`. */
  readonly clientSecret: pulumi.Output<string>;

  constructor(name: string, args: EtcdArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:Etcd', name, {}, opts);
    const own = { parent: this };
    const timeouts = { create: `${args.readySeconds}s`, update: `${args.readySeconds}s` };
    const authority = pulumi.output(args.authority);
    const secret = (part: string, leaf: pulumi.Input<Certificate>) =>
      new k8s.core.v1.Secret(
        part,
        {
          metadata: { namespace: args.namespace, labels: labels(PART) },
          type: 'Opaque',
          stringData: {
            'ca.crt': authority.certificate,
            'tls.crt': pulumi.output(leaf).certificate,
            'tls.key': pulumi.output(leaf).key,
          },
        },
        own,
      );
    const serverSecret = secret('etcd-server', args.server);
    const clientSecret = secret('etcd-client', args.client);

    const account = new k8s.core.v1.ServiceAccount(
      PART,
      { metadata: { name: PART, namespace: args.namespace, labels: labels(PART) }, automountServiceAccountToken: false },
      own,
    );
    const ports = [
      { name: 'tcp-client', port: CLIENT_PORT, targetPort: 'client' },
      { name: 'tcp-peer', port: PEER_PORT, targetPort: 'peer' },
    ];
    const peers = new k8s.core.v1.Service(
      PEERS,
      {
        metadata: { name: PEERS, namespace: args.namespace, labels: labels(PART), annotations: { 'pulumi.com/skipAwait': 'true' } },
        // A member has to find the others before any of them is ready.
        spec: { clusterIP: 'None', publishNotReadyAddresses: true, selector: podSelector(PART), ports },
      },
      own,
    );
    const members = new k8s.apps.v1.StatefulSet(
      PART,
      {
        metadata: { name: PART, namespace: args.namespace, labels: labels(PART) },
        spec: {
          serviceName: PEERS,
          replicas: args.members,
          podManagementPolicy: 'Parallel',
          updateStrategy: { type: 'RollingUpdate' },
          selector: { matchLabels: podSelector(PART) },
          template: {
            metadata: {
              labels: labels(PART),
              annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': String(METRICS_PORT) },
            },
            spec: {
              serviceAccountName: account.metadata.name,
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              ...(args.pullSecret === undefined ? {} : { imagePullSecrets: [{ name: args.pullSecret }] }),
              securityContext: { ...restrictedPod, fsGroupChangePolicy: 'OnRootMismatch' },
              terminationGracePeriodSeconds: 30,
              ...spread(PART),
              containers: [
                {
                  name: 'etcd',
                  image: args.image,
                  command: ['etcd', ...memberFlags(args)],
                  env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
                  ports: [
                    { name: 'client', containerPort: CLIENT_PORT },
                    { name: 'peer', containerPort: PEER_PORT },
                    { name: 'metrics', containerPort: METRICS_PORT },
                  ],
                  startupProbe: probe('/livez', 1, 60),
                  livenessProbe: probe('/livez', 10, 3),
                  readinessProbe: probe('/readyz', 5, 2),
                  resources: containerResources(['50m', '2'], ['128Mi', '1Gi']),
                  securityContext: restrictedContainer,
                  volumeMounts: [
                    { name: 'data', mountPath: '/var/lib/etcd' },
                    { name: 'tls', mountPath: CERTIFICATES, readOnly: true },
                  ],
                },
              ],
              volumes: [{ name: 'tls', secret: { secretName: serverSecret.metadata.name, defaultMode: 0o440 } }],
            },
          },
          volumeClaimTemplates: [
            {
              metadata: { name: 'data', labels: labels(PART) },
              spec: {
                accessModes: ['ReadWriteOnce'],
                ...(args.storageClass === undefined ? {} : { storageClassName: args.storageClass }),
                resources: { requests: { storage: args.storage } },
              },
            },
          ],
          // The volumes go with the stack: `pulumi destroy` leaves nothing.
          persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
        },
      },
      { ...own, dependsOn: [peers], customTimeouts: timeouts },
    );
    const service = new k8s.core.v1.Service(
      `${PART}-clients`,
      {
        metadata: { name: PART, namespace: args.namespace, labels: labels(PART) },
        spec: { selector: podSelector(PART), ports: [{ name: 'tcp-client', port: CLIENT_PORT, targetPort: 'client' }] },
      },
      { ...own, dependsOn: [members] },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      PART,
      {
        metadata: { name: PART, namespace: args.namespace, labels: labels(PART) },
        spec: { maxUnavailable: 1, selector: { matchLabels: podSelector(PART) } },
      },
      own,
    );
    const url = pulumi.interpolate`https://${service.metadata.name}.${args.namespace}.svc:${CLIENT_PORT}`;
    this.endpoints = url.apply((one) => [one]);
    this.memberEndpoints = members.metadata.name.apply(() =>
      memberHosts(args.namespaceName, args.members).map((host) => `https://${host}:${CLIENT_PORT}`),
    );
    this.clientSecret = clientSecret.metadata.name;
    this.registerOutputs({ endpoints: this.endpoints, memberEndpoints: this.memberEndpoints, clientSecret: this.clientSecret });
  }
}

function memberFlags({ members, namespaceName }: EtcdArgs): string[] {
  const host = (pod: string): string => `${pod}.${PEERS}.${namespaceName}.svc`;
  const tls = (prefix: string): string[] => [
    `--${prefix}cert-file=${CERTIFICATES}/tls.crt`,
    `--${prefix}key-file=${CERTIFICATES}/tls.key`,
    `--${prefix}trusted-ca-file=${CERTIFICATES}/ca.crt`,
    `--${prefix}client-cert-auth=true`,
  ];
  return [
    '--name=$(POD_NAME)',
    '--data-dir=/var/lib/etcd/data',
    `--listen-client-urls=https://0.0.0.0:${CLIENT_PORT}`,
    `--advertise-client-urls=https://${host('$(POD_NAME)')}:${CLIENT_PORT}`,
    `--listen-peer-urls=https://0.0.0.0:${PEER_PORT}`,
    `--initial-advertise-peer-urls=https://${host('$(POD_NAME)')}:${PEER_PORT}`,
    `--initial-cluster=${Array.from({ length: members }, (_, i) => `${PART}-${i}=https://${host(`${PART}-${i}`)}:${PEER_PORT}`).join(',')}`,
    '--initial-cluster-state=new',
    `--initial-cluster-token=hfi-${namespaceName}`,
    `--listen-metrics-urls=http://0.0.0.0:${METRICS_PORT}`,
    ...tls(''),
    ...tls('peer-'),
    // Old revisions go after an hour: a replica that was away longer reads everything anew.
    '--auto-compaction-mode=periodic',
    '--auto-compaction-retention=1h',
    `--quota-backend-bytes=${2 * 1024 ** 3}`,
    // Room that compaction freed is used again; the file itself is made smaller when a member starts, where nobody waits for it.
    '--bootstrap-defrag-threshold-megabytes=100',
  ];
}

function probe(path: string, periodSeconds: number, failureThreshold: number) {
  return { httpGet: { path, port: 'metrics' }, periodSeconds, failureThreshold, timeoutSeconds: 5 };
}
