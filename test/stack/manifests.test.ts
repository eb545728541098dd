import assert from 'node:assert/strict';
import { type Registered, runProgram } from './program.ts';

/** Kubernetes' and the CRDs' own schemas, by API version: generated from their OpenAPI documents. */
async function modelOf(apiVersion: string, kind: string): Promise<new (data: object) => { validate(): void }> {
  const [group = ''] = apiVersion.split('/');
  const from = group.endsWith('.istio.io')
    ? '@kubernetes-models/istio'
    : group === 'monitoring.coreos.com'
      ? '@kubernetes-models/prometheus-operator'
      : 'kubernetes-models';
  return (await import(`${from}/${apiVersion}`))[kind];
}

// biome-ignore lint/suspicious/noExplicitAny: a manifest of any kind.
type Manifest = any;

/** As it would be sent: without the marks of secrets. */
function unmarked(value: unknown): Manifest {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(unmarked);
  if ('4dabf18193072939515e22adb298388d' in value) return unmarked((value as unknown as { value: unknown }).value);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unmarked(part)]));
}

describe('manifests', function () {
  this.timeout(30_000);
  const manifests: [string, Manifest][] = [];
  const pods: [string, Manifest][] = [];
  /** Names of those of `pods` that come to an end by themselves. */
  const jobs = new Set<string>();

  before(async () => {
    const configs = [
      { 'hfi:monitoring': '{"enabled":true}', 'hfi:etcd': '{"members":3,"storageClass":"fast"}', 'hfi:mesh': '{"metricsFilter":true}' },
      {
        'hfi:controlPlane': JSON.stringify({
          inMesh: true,
          revision: 'canary',
          tls: { secret: 'api-tls' },
          tokenReview: { roles: [{ group: 'oncall', role: 'editor', namespaces: ['shop'] }] },
          prometheus: { url: 'https://prometheus.monitoring', namespace: 'monitoring', tokenSecret: 'token', caSecret: 'ca' },
          telemetry: { url: 'http://collector.observability:4318', namespace: 'observability', headersSecret: 'collector' },
        }),
        'hfi:monitoring': '{"enabled":true}',
      },
      { 'hfi:images': '{"pullSecret":"pull"}', 'hfi:etcd': '{"external":{"endpoints":["https://e:1"],"secret":"s"}}' },
    ];
    for (const [i, config] of configs.entries()) {
      const { registered } = await runProgram(config);
      for (const { type, name, inputs } of registered.filter((one: Registered) => one.type.startsWith('kubernetes:'))) {
        const manifest = unmarked(inputs);
        manifests.push([`${i}: ${type.split(':').at(-1)} ${name}`, manifest]);
        const pod = manifest.spec?.template?.spec ?? manifest.spec?.jobTemplate?.spec?.template?.spec;
        if (pod !== undefined) pods.push([`${i}: ${name}`, pod]);
        if (manifest.spec?.jobTemplate !== undefined) jobs.add(`${i}: ${name}`);
      }
    }
    assert.ok(manifests.length > 60 && pods.length >= 8, `${manifests.length} manifests, ${pods.length} pods`);
  });

  it('are what the schemas of Kubernetes, Istio and the Prometheus operator say', async () => {
    for (const [name, manifest] of manifests) {
      const Model = await modelOf(manifest.apiVersion, manifest.kind);
      assert.doesNotThrow(() => new Model(manifest).validate(), name);
    }
  });

  it('would be refused with a field that is none', async () => {
    const Model = await modelOf('apps/v1', 'Deployment');
    assert.throws(() => new Model({ metadata: { name: 'x' }, spec: { replicaz: 2 } }).validate());
  });

  it('say whose they are', () => {
    for (const [name, { metadata }] of manifests) assert.equal(metadata.labels['app.kubernetes.io/part-of'], 'hfi', name);
  });

  it('have pods that Pod Security "restricted" lets in, with a read-only root', () => {
    for (const [name, pod] of pods) {
      assert.equal(pod.securityContext.runAsNonRoot, true, name);
      assert.ok(pod.securityContext.runAsUser > 0, name);
      assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault', name);
      for (const flag of ['hostNetwork', 'hostPID', 'hostIPC']) assert.equal(pod[flag], undefined, name);
      for (const volume of pod.volumes) {
        const [kind] = Object.keys(volume).filter((key) => key !== 'name');
        assert.ok(['configMap', 'secret', 'emptyDir', 'persistentVolumeClaim', 'projected'].includes(kind ?? ''), `${name}: ${kind}`);
      }
      for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
        const { securityContext, resources, image } = container;
        assert.equal(securityContext.allowPrivilegeEscalation, false, name);
        assert.equal(securityContext.readOnlyRootFilesystem, true, name);
        assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] }, name);
        assert.ok(securityContext.runAsUser >= 10_000 && securityContext.runAsGroup >= 10_000, `${name}: a user of the node's`);
        for (const one of ['cpu', 'memory', 'ephemeral-storage']) {
          assert.ok(resources.requests[one] && resources.limits[one], `${name}: ${one}`);
        }
        assert.match(image, /:[\w.-]*\d[\w.-]*$/, `${name}: ${image} has no exact tag`);
      }
    }
  });

  it('keep the replicas of a part apart where they can', () => {
    for (const [name, pod] of pods.filter(([one]) => /control-plane|wasm-server|hfi-etcd$/.test(one))) {
      const [rule] = pod.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution;
      assert.equal(rule.podAffinityTerm.topologyKey, 'kubernetes.io/hostname', name);
    }
  });

  it('have pods that get no token of the Kubernetes API, but the one that was asked to review tokens', () => {
    const withToken: string[] = [];
    for (const [name, pod] of pods) {
      assert.equal(pod.automountServiceAccountToken, false, name);
      assert.notEqual(pod.serviceAccountName, undefined, name);
      if (JSON.stringify(pod.volumes).includes('serviceAccountToken')) withToken.push(name);
    }
    assert.deepEqual(withToken, ['1: hfi-control-plane']);
  });

  it('probe every container that stays, and spare one pod of each part in a disruption', () => {
    for (const [name, pod] of pods) {
      if (jobs.has(name)) continue;
      for (const { readinessProbe, livenessProbe } of pod.containers) assert.ok(readinessProbe && livenessProbe, name);
    }
    const budgets = manifests.filter(([, { kind }]) => kind === 'PodDisruptionBudget').map(([, { metadata }]) => metadata.name);
    for (const part of ['hfi-etcd', 'hfi-control-plane', 'wasm-server']) assert.ok(budgets.includes(part), part);
  });

  it('let nothing in or out of the system namespace but what is named', () => {
    const policies = manifests.filter(([, { kind }]) => kind === 'NetworkPolicy').map(([, manifest]) => manifest);
    const nothing = policies.find(({ metadata }) => metadata.name === 'hfi-nothing');
    assert.deepEqual(nothing.spec, { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    const etcd = policies.find(({ metadata }) => metadata.name === 'hfi-etcd');
    for (const { from } of etcd.spec.ingress) for (const peer of from) assert.notDeepEqual(peer, { namespaceSelector: {} });
  });

  it("let etcd's upkeep reach etcd, ask for names, and nothing else", () => {
    const { spec } = manifests.find(([, { kind, metadata }]) => kind === 'NetworkPolicy' && metadata.name === 'hfi-etcd-upkeep')?.[1] ?? {};
    const [names, etcd, ...more] = spec.egress;
    assert.deepEqual(more, []);
    assert.deepEqual(spec.policyTypes, ['Ingress', 'Egress']);
    assert.equal(spec.ingress, undefined);
    assert.deepEqual([...new Set(names.ports.map(({ port }: { port: number }) => port))], [53]);
    const selector = { matchLabels: { 'app.kubernetes.io/name': 'hfi-etcd' } };
    assert.deepEqual(etcd, { to: [{ podSelector: selector }], ports: [{ port: 2379, protocol: 'TCP' }] });
  });
});
