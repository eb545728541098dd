import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { list } from 'tar';
import { parse } from 'yaml';
import { BUNDLE } from '../../build/bundle.ts';
import { images } from '../../components/images.ts';
import { readSettings } from '../../services/etcd-upkeep/settings.ts';
import { type Program, type Registered, runProgram } from './program.ts';

const PART = 'hfi-etcd-upkeep';

// biome-ignore lint/suspicious/noExplicitAny: a manifest of any kind.
type Manifest = any;

const etcdConfig = (etcd: object) => runProgram({ 'hfi:etcd': JSON.stringify(etcd) });

function find({ registered }: Program, type: string, name: string): Registered | undefined {
  return registered.find((one) => one.type === type && one.name === name);
}

function cronJob(program: Program): Manifest {
  const found = find(program, 'kubernetes:batch/v1:CronJob', PART);
  assert.ok(found !== undefined);
  return found.inputs;
}

const podOf = (program: Program): Manifest => cronJob(program).spec.jobTemplate.spec.template.spec;

/** The parts that a policy lets in. */
function letIn(program: Program, policy: string): string[] {
  const { ingress } = find(program, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', policy)?.inputs.spec ?? {};
  const peers: Manifest[] = ingress.flatMap(({ from }: Manifest) => from);
  return peers.flatMap(({ podSelector }) => (podSelector === undefined ? [] : [podSelector.matchLabels['app.kubernetes.io/name']]));
}

describe("etcd's upkeep in the stack", function () {
  this.timeout(60_000);
  let program: Program;

  before(async () => {
    program = await etcdConfig({ members: 3, storageClass: 'fast', backup: { schedule: '@hourly', keep: 3, storage: '5Gi' } });
  });

  it('runs when the configuration says, never twice at a time, and has an end', () => {
    const { spec } = cronJob(program);
    assert.deepEqual([spec.schedule, spec.concurrencyPolicy], ['@hourly', 'Forbid']);
    const job = spec.jobTemplate.spec;
    assert.ok(job.activeDeadlineSeconds > 0);
    // Another try would make another snapshot, for which an older one goes.
    assert.deepEqual([job.backoffLimit, job.template.spec.restartPolicy], [0, 'Never']);
  });

  it('has a volume of its own for the snapshots', () => {
    const claim = find(program, 'kubernetes:core/v1:PersistentVolumeClaim', 'hfi-etcd-backup')?.inputs;
    assert.deepEqual([claim.spec.resources.requests.storage, claim.spec.storageClassName], ['5Gi', 'fast']);
    const { volumes, containers } = podOf(program);
    assert.deepEqual(
      volumes.find(({ name }: Manifest) => name === 'backup'),
      { name: 'backup', persistentVolumeClaim: { claimName: claim.metadata.name } },
    );
    const writable = containers[0].volumeMounts.filter(({ readOnly }: Manifest) => readOnly !== true);
    assert.deepEqual(writable, [{ name: 'backup', mountPath: '/backup' }]);
  });

  it('starts a program of the bundle, with settings that this can read', async () => {
    const [{ command, image, env, volumeMounts }] = podOf(program).containers;
    assert.equal(image, images.node);
    const files: string[] = [];
    await list({ file: BUNDLE, onReadEntry: ({ path }) => files.push(`/app/${path}`) });
    assert.deepEqual(command.slice(0, 1), ['node']);
    assert.ok(files.includes(command[1]), `${command[1]} of ${files}`);

    const { etcd, folder, keep } = readSettings(Object.fromEntries(env.map(({ name, value }: Manifest) => [name, value])));
    assert.deepEqual([folder, keep], ['/backup', 3]);
    const mounts = volumeMounts.map(({ mountPath }: Manifest) => mountPath);
    assert.ok(mounts.includes('/backup'));
    for (const file of [etcd.caFile, etcd.certFile, etcd.keyFile]) {
      assert.ok(
        mounts.some((mount: string) => file?.startsWith(`${mount}/`)),
        file,
      );
    }
  });

  it('calls each member by the name that it has for the others, and that its certificate has', () => {
    const { value } = podOf(program).containers[0].env.find(({ name }: Manifest) => name === 'HFI_ETCD_ENDPOINTS');
    const hosts = value.split(',').map((url: string) => new URL(url).hostname);
    const flags: string[] = find(program, 'kubernetes:apps/v1:StatefulSet', 'hfi-etcd')?.inputs.spec.template.spec.containers[0].command;
    const cluster = flags.find((flag) => flag.startsWith('--initial-cluster=')) ?? '';
    assert.deepEqual(
      hosts,
      [...cluster.matchAll(/https:\/\/([^:,]+):2380/g)].map(([, host]) => host),
    );
    assert.equal(hosts.length, 3);
    const names = program.registered.find(({ name }) => name === 'credentials')?.inputs.etcdNames;
    for (const host of hosts) assert.ok(names.includes(host), host);
  });

  it("shows the control plane's certificate", () => {
    const secretOf = (pod: Manifest) => pod.volumes.find(({ name }: Manifest) => name === 'etcd').secret;
    const controlPlane = find(program, 'kubernetes:apps/v1:Deployment', 'hfi-control-plane')?.inputs.spec.template.spec;
    assert.deepEqual(secretOf(podOf(program)), secretOf(controlPlane));
  });

  it('is let in by etcd', () => {
    assert.deepEqual(letIn(program, 'hfi-etcd').sort(), ['hfi-control-plane', 'hfi-etcd', PART]);
  });

  for (const [when, etcd] of [
    ['it is switched off', { backup: { enabled: false } }],
    ['etcd is there already', { external: { endpoints: ['https://etcd.example:2379'] } }],
  ] as const) {
    it(`leaves nothing of it when ${when}`, async () => {
      const without = await etcdConfig(etcd);
      assert.deepEqual(
        without.registered.filter(({ type, name }) => /CronJob|PersistentVolumeClaim|EtcdUpkeep/.test(type) || name === PART),
        [],
      );
      assert.doesNotMatch(JSON.stringify(without.registered), new RegExp(PART));
    });
  }

  it("has the guide's pod read the snapshots' volume, as restricted as the stack's own", async () => {
    const page = readFileSync(new URL('../../docs/reference/stack.md', import.meta.url), 'utf8');
    const [, yaml = ''] = /```yaml\n(apiVersion: v1\nkind: Pod\n[\s\S]*?)```/.exec(page) ?? [];
    const pod: Manifest = parse(yaml);
    const { Pod } = await import('kubernetes-models/v1');
    new Pod(pod).validate();
    const own = podOf(program);
    assert.equal(pod.metadata.namespace, 'boifi');
    assert.equal(pod.spec.volumes[0].persistentVolumeClaim.claimName, 'hfi-etcd-backup');
    assert.equal(pod.spec.containers[0].image, own.containers[0].image);
    const { fsGroupChangePolicy: _, ...security } = own.securityContext;
    assert.deepEqual(pod.spec.securityContext, security);
    assert.equal(pod.spec.automountServiceAccountToken, false);
    assert.deepEqual(pod.spec.containers[0].securityContext, own.containers[0].securityContext);
  });
});
