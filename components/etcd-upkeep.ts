import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { Bundle } from './bundle.ts';
import { containerResources } from './container-resources.ts';
import { labels } from './labels.ts';
import { restrictedContainer, restrictedPod } from './pod-security.ts';

export const ETCD_UPKEEP = 'hfi-etcd-upkeep';
const BACKUP = 'hfi-etcd-backup';
const TLS = '/etc/hfi/etcd';
const FOLDER = '/backup';
/** Longest time for a run, in seconds. */
const DEADLINE_SECONDS = 1800;
/** How late a run may begin, in seconds, when nothing could start it in time. */
const LATEST_START_SECONDS = 3600;

export interface EtcdUpkeepArgs {
  readonly namespace: pulumi.Input<string>;
  /** The stock Node image. */
  readonly image: string;
  readonly bundle: Bundle;
  readonly pullSecret?: string | undefined;
  readonly etcd: {
    /** A URL for each member: each is defragmented on its own. */
    readonly members: pulumi.Input<readonly string[]>;
    /** A Secret with `ca.crt`, `tls.crt` and `tls.key`. */
    readonly secret: pulumi.Input<string>;
  };
  /** When it runs, as cron says it. */
  readonly schedule: string;
  /** How many snapshots stay. */
  readonly keep: number;
  /** The size of the snapshots' volume. */
  readonly storage: string;
  readonly storageClass?: string | undefined;
  /** What takes the volume along when it is deleted: a pod that still looks at the snapshots would hold up the claim's own deletion. */
  readonly deletedWith: pulumi.Resource;
}

/** What etcd needs from time to time: a snapshot on a volume of its own, and its members defragmented, one after another. */
export class EtcdUpkeep extends pulumi.ComponentResource {
  /** Name of the PersistentVolumeClaim with the snapshots. */
  readonly backupClaim: pulumi.Output<string>;

  constructor(name: string, args: EtcdUpkeepArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:EtcdUpkeep', name, {}, opts);
    const own = { parent: this };
    const metadata = (one: string) => ({ name: one, namespace: args.namespace, labels: labels(ETCD_UPKEEP) });
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      BACKUP,
      {
        // Many StorageClasses make the volume only for the first pod, which comes tonight.
        metadata: { ...metadata(BACKUP), annotations: { 'pulumi.com/skipAwait': 'true' } },
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(args.storageClass === undefined ? {} : { storageClassName: args.storageClass }),
          resources: { requests: { storage: args.storage } },
        },
      },
      { ...own, deletedWith: args.deletedWith },
    );
    const account = new k8s.core.v1.ServiceAccount(
      ETCD_UPKEEP,
      { metadata: metadata(ETCD_UPKEEP), automountServiceAccountToken: false },
      own,
    );
    new k8s.batch.v1.CronJob(
      ETCD_UPKEEP,
      {
        metadata: metadata(ETCD_UPKEEP),
        spec: {
          schedule: args.schedule,
          concurrencyPolicy: 'Forbid',
          startingDeadlineSeconds: LATEST_START_SECONDS,
          successfulJobsHistoryLimit: 1,
          failedJobsHistoryLimit: 3,
          jobTemplate: {
            metadata: { labels: labels(ETCD_UPKEEP) },
            spec: {
              activeDeadlineSeconds: DEADLINE_SECONDS,
              // The program waits for etcd itself. Another try would make another snapshot, and an older one would go for it.
              backoffLimit: 0,
              template: { metadata: { labels: labels(ETCD_UPKEEP) }, spec: podSpec(args, account.metadata.name, claim.metadata.name) },
            },
          },
        },
      },
      own,
    );
    this.backupClaim = claim.metadata.name;
    this.registerOutputs({ backupClaim: this.backupClaim });
  }
}

function podSpec(args: EtcdUpkeepArgs, account: pulumi.Input<string>, claim: pulumi.Input<string>): k8s.types.input.core.v1.PodSpec {
  const unpacked = args.bundle.pod();
  return {
    restartPolicy: 'Never',
    serviceAccountName: account,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(args.pullSecret === undefined ? {} : { imagePullSecrets: [{ name: args.pullSecret }] }),
    securityContext: { ...restrictedPod, fsGroupChangePolicy: 'OnRootMismatch' },
    initContainers: [unpacked.initContainer],
    containers: [
      {
        name: 'upkeep',
        image: args.image,
        command: ['node', '/app/etcd-upkeep/main.cjs'],
        env: [
          { name: 'NODE_ENV', value: 'production' },
          { name: 'HFI_ETCD_ENDPOINTS', value: pulumi.output(args.etcd.members).apply((all) => all.join(',')) },
          { name: 'HFI_ETCD_CA_FILE', value: `${TLS}/ca.crt` },
          { name: 'HFI_ETCD_CERT_FILE', value: `${TLS}/tls.crt` },
          { name: 'HFI_ETCD_KEY_FILE', value: `${TLS}/tls.key` },
          { name: 'HFI_BACKUP_FOLDER', value: FOLDER },
          { name: 'HFI_BACKUP_KEEP', value: String(args.keep) },
        ],
        resources: containerResources(['10m', '1'], ['64Mi', '256Mi']),
        securityContext: restrictedContainer,
        volumeMounts: [unpacked.mount, { name: 'etcd', mountPath: TLS, readOnly: true }, { name: 'backup', mountPath: FOLDER }],
      },
    ],
    volumes: [
      ...unpacked.volumes,
      { name: 'etcd', secret: { secretName: args.etcd.secret, defaultMode: 0o440 } },
      { name: 'backup', persistentVolumeClaim: { claimName: claim } },
    ],
  };
}
