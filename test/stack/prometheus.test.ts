import assert from 'node:assert/strict';
import { readPrometheus } from '../../services/control-plane/stop-conditions/settings.ts';
import { type Program, runProgram } from './program.ts';

interface Pod {
  readonly containers: readonly [
    { readonly env: readonly { name: string; value: string }[]; readonly volumeMounts: readonly { name: string }[] },
  ];
  readonly volumes: readonly { name: string; secret?: { secretName: string; items?: unknown[] } }[];
}

describe('the stack: Prometheus for stop conditions', function () {
  this.timeout(60_000);
  const withPrometheus = (prometheus: object | undefined): Promise<Program> =>
    runProgram({ 'hfi:controlPlane': JSON.stringify({ prometheus }), 'hfi:monitoring': '{"enabled":false}' });
  const inputs = ({ registered }: Program, type: RegExp) => {
    const found = registered.find((one) => type.test(one.type) && one.name === 'hfi-control-plane');
    assert.ok(found);
    return found.inputs.spec;
  };
  const podOf = (program: Program): Pod => inputs(program, /Deployment$/).template.spec;
  const envOf = (program: Program) =>
    Object.fromEntries(
      podOf(program)
        .containers[0].env.filter(({ name }) => name.startsWith('HFI_PROMETHEUS'))
        .map(({ name, value }) => [name, value]),
    );
  const egressOf = (program: Program): object[] => inputs(program, /NetworkPolicy$/).egress;

  let without: Program;
  before(async () => {
    without = await withPrometheus(undefined);
  });

  it('is not there unless asked for', () => {
    assert.deepEqual(envOf(without), {});
    assert.ok(!podOf(without).volumes.some(({ name }) => name.startsWith('prometheus')));
  });

  it('one in the cluster: only its namespace can be reached, at its port, and the control plane takes the settings', async () => {
    const program = await withPrometheus({ url: 'http://prometheus-operated.monitoring:9090', namespace: 'monitoring', interval: '500ms' });
    const added = egressOf(program).slice(egressOf(without).length);
    assert.deepEqual(added, [
      {
        to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
        ports: [{ port: 9090, protocol: 'TCP' }],
      },
    ]);
    assert.deepEqual(egressOf(program).slice(0, egressOf(without).length), egressOf(without));
    const env = envOf(program);
    assert.deepEqual(env, {
      HFI_PROMETHEUS_URL: 'http://prometheus-operated.monitoring:9090',
      HFI_PROMETHEUS_INTERVAL_MS: '500',
      HFI_PROMETHEUS_TIMEOUT_MS: '2000',
    });
    assert.equal(readPrometheus(env)?.intervalMs, 500);
    assert.deepEqual(podOf(program).volumes, podOf(without).volumes);
  });

  it('one elsewhere: the port of its URL, and of each Secret the one key that is needed', async () => {
    const program = await withPrometheus({ url: 'https://mimir.example/prometheus', tokenSecret: 'mimir-token', caSecret: 'mimir-ca' });
    assert.deepEqual(egressOf(program).slice(egressOf(without).length), [{ ports: [{ port: 443, protocol: 'TCP' }] }]);
    const env = envOf(program);
    assert.equal(env.HFI_PROMETHEUS_TOKEN_FILE, '/etc/hfi/prometheus/prometheus-token/token');
    assert.equal(env.HFI_PROMETHEUS_CA_FILE, '/etc/hfi/prometheus/prometheus-ca/ca.crt');
    const secrets = podOf(program).volumes.filter(({ name }) => name.startsWith('prometheus'));
    assert.deepEqual(secrets, [
      {
        name: 'prometheus-token',
        secret: { secretName: 'mimir-token', defaultMode: 0o440, items: [{ key: 'token', path: 'token' }] },
      },
      { name: 'prometheus-ca', secret: { secretName: 'mimir-ca', defaultMode: 0o440, items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    ]);
    const mounts = podOf(program).containers[0].volumeMounts.filter(({ name }) => name.startsWith('prometheus'));
    assert.deepEqual(mounts, [
      { name: 'prometheus-token', mountPath: '/etc/hfi/prometheus/prometheus-token', readOnly: true },
      { name: 'prometheus-ca', mountPath: '/etc/hfi/prometheus/prometheus-ca', readOnly: true },
    ]);
  });
});
