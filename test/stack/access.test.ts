import assert from 'node:assert/strict';
import { tokensFile } from '../../components/control-plane.ts';
import { NODE_OPTIONS } from '../../components/node-options.ts';
import { proxyTokenOf } from '../../components/proxy-token.ts';
import { roleBindings } from '../../services/control-plane/access/kubernetes/roles.ts';
import { MADE, type Program, type Registered, runProgram } from './program.ts';

const json = (config: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(config).map(([key, one]) => [key, JSON.stringify(one)]));
const roles = [
  { group: 'oncall', role: 'editor', namespaces: ['shop'] },
  { serviceAccount: '*/*', role: 'proxy', namespaces: 'own' },
];

describe('the stack: access', function () {
  this.timeout(60_000);
  let plain: Program;
  let full: Program;

  before(async () => {
    plain = await runProgram(json({ 'hfi:mesh': { namespaces: ['shop', 'pay'] } }));
    full = await runProgram(
      json({
        'hfi:mesh': { namespaces: ['shop', 'pay'] },
        'hfi:controlPlane': { inMesh: true, tls: { secret: 'api-tls' }, tokenReview: { roles } },
        'hfi:monitoring': { enabled: true },
      }),
    );
  });

  const all = ({ registered }: Program, kind: string): Registered[] => registered.filter(({ inputs }) => inputs.kind === kind);
  const one = ({ registered }: Program, type: RegExp, name: string): Registered => {
    const found = registered.find((resource) => type.test(resource.type) && resource.name === name);
    assert.ok(found !== undefined, `${type} ${name}`);
    return found;
  };
  const deployment = (program: Program) => one(program, /Deployment$/, 'hfi-control-plane').inputs.spec.template;
  const envOf = (program: Program): Map<string, string> =>
    new Map(deployment(program).spec.containers[0].env.map((entry: { name: string; value: string }) => [entry.name, entry.value]));
  const networkOf = (program: Program) => one(program, /NetworkPolicy$/, 'hfi-control-plane').inputs.spec;
  const portsOf = (rules: { ports?: { port: number }[] }[]) =>
    rules.flatMap(({ ports = [] }) => ports.map(({ port }) => port)).sort((a, b) => a - b);

  it('gives the control plane the Node options that its figures were measured with', () => {
    assert.equal(envOf(plain).get('NODE_OPTIONS'), NODE_OPTIONS);
  });

  it('gives the proxies of each namespace a token of their own, which the control plane takes for that namespace alone', () => {
    const file: { name: string; role: string; namespaces?: string[]; token: string }[] = JSON.parse(
      tokensFile(MADE.tokens as never, ['demo', 'pay', 'shop']),
    );
    const plugins = all(plain, 'WasmPlugin');
    assert.equal(plugins.length, 3);
    for (const { inputs } of plugins) {
      const token: string = (inputs.spec.value ?? inputs.spec).pluginConfig.token;
      const entries = file.filter((entry) => entry.token === token);
      assert.deepEqual(
        entries.map(({ role, namespaces }) => [role, namespaces]),
        [['proxy', [inputs.metadata.namespace]]],
      );
    }
    assert.equal(new Set(file.map(({ token }) => token)).size, file.length, 'no token is there twice');
    assert.equal(new Set(file.map(({ name }) => name)).size, file.length, 'no name is there twice');
  });

  it('keeps the tokens of the last rotation for each namespace', () => {
    const file: { name: string; token: string }[] = JSON.parse(tokensFile(MADE.tokens as never, ['pay']));
    assert.deepEqual(
      file.filter(({ name }) => name.startsWith('proxy-pay')),
      [
        { name: 'proxy-pay', role: 'proxy', namespaces: ['pay'], token: proxyTokenOf('pay', 'SECRET-proxy-now') },
        { name: 'proxy-pay-before-rotation', role: 'proxy', namespaces: ['pay'], token: proxyTokenOf('pay', 'SECRET-proxy-before') },
      ],
    );
  });

  it('makes nothing of all this unless asked', () => {
    assert.deepEqual([...all(plain, 'AuthorizationPolicy'), ...all(plain, 'PeerAuthentication')], []);
    assert.ok(!plain.registered.some(({ type }) => /ClusterRole/.test(type)));
    const env = envOf(plain);
    for (const name of env.keys()) assert.doesNotMatch(name, /TLS_LISTEN|IN_MESH|PEER|TOKEN_REVIEW/);
    const { metadata } = one(plain, /core\/v1:Namespace$/, 'system').inputs;
    assert.equal(metadata.labels['istio-injection'], 'disabled');
    assert.equal(metadata.labels['pod-security.kubernetes.io/enforce'], 'restricted');
    assert.deepEqual(deployment(plain).metadata.labels['sidecar.istio.io/inject'], undefined);
    assert.deepEqual(portsOf(networkOf(plain).ingress), [8080]);
  });

  it('serves TLS beside the plain port', () => {
    const env = envOf(full);
    assert.equal(env.get('HFI_TLS_LISTEN'), '0.0.0.0:8443');
    assert.deepEqual([env.get('HFI_TLS_CERT_FILE'), env.get('HFI_TLS_KEY_FILE')], ['/etc/hfi/tls/tls.crt', '/etc/hfi/tls/tls.key']);
    const { volumes, containers } = deployment(full).spec;
    assert.equal(volumes.find(({ name }: { name: string }) => name === 'tls').secret.secretName, 'api-tls');
    assert.ok(containers[0].volumeMounts.some(({ mountPath }: { mountPath: string }) => mountPath === '/etc/hfi/tls'));
    const ports = one(full, /core\/v1:Service$/, 'hfi-control-plane').inputs.spec.ports;
    assert.deepEqual(
      ports.map(({ name, port }: { name: string; port: number }) => [name, port]),
      [
        ['http', 8080],
        ['https', 8443],
      ],
    );
  });

  it('lets the control plane ask for tokens and for nothing else', () => {
    const role = one(full, /ClusterRole$/, 'hfi-token-review').inputs;
    assert.deepEqual(role.rules, [{ apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }]);
    const binding = one(full, /ClusterRoleBinding$/, 'hfi-token-review').inputs;
    assert.deepEqual(binding.subjects, [{ kind: 'ServiceAccount', name: 'hfi-control-plane', namespace: 'boifi' }]);
    assert.equal(role.metadata.name, 'hfi-token-review-boifi', 'two stacks in one cluster do not share it');
    const data = one(full, /ConfigMap$/, 'hfi-roles').inputs.data['roles.json'];
    assert.deepEqual(roleBindings.parse(JSON.parse(data)), roles);
    assert.deepEqual([envOf(full).get('HFI_TOKEN_REVIEW'), envOf(full).get('HFI_TOKEN_REVIEW_AUDIENCES')], ['on', 'hfi']);
    const { automountServiceAccountToken, volumes } = deployment(full).spec;
    assert.equal(automountServiceAccountToken, false);
    const [token] = volumes.find(({ name }: { name: string }) => name === 'kubernetes').projected.sources;
    assert.equal(token.serviceAccountToken.expirationSeconds, 3600);
  });

  describe('in the mesh', () => {
    it('the pods ask for a sidecar, and the namespace does not forbid it', () => {
      const { metadata } = one(full, /core\/v1:Namespace$/, 'system').inputs;
      assert.equal(metadata.labels['istio-injection'], undefined);
      assert.equal(metadata.labels['pod-security.kubernetes.io/enforce'], undefined);
      assert.equal(metadata.labels['pod-security.kubernetes.io/warn'], 'restricted');
      assert.equal(deployment(full).metadata.labels['sidecar.istio.io/inject'], 'true');
      const injected = full.registered.filter(
        ({ inputs }) => inputs.spec?.template?.metadata?.labels?.['sidecar.istio.io/inject'] !== undefined,
      );
      assert.deepEqual(
        injected.map(({ name }) => name),
        ['hfi-control-plane'],
      );
    });

    it('replicas, etcd and Prometheus go past it, and what goes past it is closed to others', () => {
      const { annotations } = deployment(full).metadata;
      assert.equal(annotations['traffic.sidecar.istio.io/excludeInboundPorts'], '8081');
      assert.equal(annotations['traffic.sidecar.istio.io/excludeOutboundPorts'], '8081,2379');
      assert.equal(annotations['prometheus.io/port'], '8081');
      const env = envOf(full);
      assert.deepEqual(
        [env.get('HFI_IN_MESH'), env.get('HFI_PEER_LISTEN'), env.get('HFI_ADVERTISE_URL')],
        ['on', '0.0.0.0:8081', 'http://$(POD_IP):8081'],
      );
      const peers = networkOf(full).ingress.find(({ ports }: { ports: { port: number }[] }) => ports.some(({ port }) => port === 8081));
      assert.ok(peers.from.every((from: object) => 'podSelector' in from || 'namespaceSelector' in from));
      assert.deepEqual(
        peers.from.map((from: { namespaceSelector?: { matchLabels?: object } }) => from.namespaceSelector?.matchLabels),
        [undefined, { 'kubernetes.io/metadata.name': 'monitoring' }],
      );
      const monitor = one(full, /PodMonitor$/, 'hfi-control-plane').inputs;
      assert.equal(monitor.spec.podMetricsEndpoints[0].port, 'peers');
    });

    it('there is mutual TLS always, and each group of routes is for whom it is meant', () => {
      const [authentication] = all(full, 'PeerAuthentication');
      assert.equal(authentication?.inputs.spec.mtls.mode, 'STRICT');
      const policies = new Map(all(full, 'AuthorizationPolicy').map(({ name, inputs }) => [name, inputs.spec]));
      assert.deepEqual([...policies.keys()].sort(), ['hfi-open', 'hfi-people', 'hfi-proxies']);
      for (const spec of policies.values()) {
        assert.equal(spec.action, 'ALLOW');
        assert.deepEqual(spec.selector.matchLabels, { 'app.kubernetes.io/name': 'hfi-control-plane' });
      }
      assert.deepEqual(policies.get('hfi-proxies').rules, [
        { from: [{ source: { namespaces: ['demo', 'pay', 'shop'] } }], to: [{ operation: { paths: ['/v1/ruleset', '/v1/reports'] } }] },
      ]);
      assert.deepEqual(policies.get('hfi-people').rules, [
        { from: [{ source: { principals: ['*'] } }], to: [{ operation: { paths: ['/v1/*'], notPaths: ['/v1/ruleset', '/v1/reports'] } }] },
      ]);
      const [open] = policies.get('hfi-open').rules;
      assert.equal(open.from, undefined);
      assert.ok(!open.to[0].operation.paths.some((path: string) => path.startsWith('/v1') || path.includes('*') || path === '/metrics'));
    });

    it('the ports of an etcd that is there already are left alone, too', async () => {
      const external = { endpoints: ['https://etcd.example:2479', 'https://etcd2.example', 'http://etcd3.example'] };
      const other = await runProgram(json({ 'hfi:etcd': { external }, 'hfi:controlPlane': { inMesh: true, revision: 'canary' } }));
      const { annotations, labels } = deployment(other).metadata;
      assert.equal(annotations['traffic.sidecar.istio.io/excludeOutboundPorts'], '8081,2479,443,80');
      assert.equal(labels['istio.io/rev'], 'canary');
    });
  });
});
