import assert from 'node:assert/strict';
import { telemetryWanted } from '../../services/control-plane/audit/telemetry.ts';
import { type Program, runProgram } from './program.ts';

describe('the stack: telemetry', function () {
  this.timeout(60_000);
  const withTelemetry = (telemetry: object | undefined): Promise<Program> =>
    runProgram({ 'hfi:controlPlane': JSON.stringify({ telemetry }), 'hfi:monitoring': '{"enabled":false}' });
  const specOf = ({ registered }: Program, type: RegExp) => {
    const found = registered.find((one) => type.test(one.type) && one.name === 'hfi-control-plane');
    assert.ok(found);
    return found.inputs.spec;
  };
  const envOf = (program: Program): { name: string; value?: string; valueFrom?: object }[] =>
    specOf(program, /Deployment$/).template.spec.containers[0].env.filter(({ name }: { name: string }) => name.startsWith('OTEL_'));
  const egressOf = (program: Program): object[] => specOf(program, /NetworkPolicy$/).egress;

  let without: Program;
  before(async () => {
    without = await withTelemetry(undefined);
  });

  it('is not there unless asked for', () => {
    assert.deepEqual(envOf(without), []);
  });

  it('to a collector in the cluster: only its namespace can be reached, at its port, and the control plane sends', async () => {
    const program = await withTelemetry({ url: 'http://collector.observability:4318', namespace: 'observability' });
    assert.deepEqual(egressOf(program).slice(egressOf(without).length), [
      {
        to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'observability' } } }],
        ports: [{ port: 4318, protocol: 'TCP' }],
      },
    ]);
    const env = envOf(program);
    assert.deepEqual(env, [{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector.observability:4318' }]);
    assert.equal(telemetryWanted(Object.fromEntries(env.map(({ name, value }) => [name, value]))), true);
  });

  it('elsewhere: the port of its URL, and the headers stay in their Secret', async () => {
    const program = await withTelemetry({ url: 'https://otlp.example', headersSecret: 'otlp' });
    assert.deepEqual(egressOf(program).slice(egressOf(without).length), [{ ports: [{ port: 443, protocol: 'TCP' }] }]);
    assert.deepEqual(envOf(program)[1], {
      name: 'OTEL_EXPORTER_OTLP_HEADERS',
      valueFrom: { secretKeyRef: { name: 'otlp', key: 'headers' } },
    });
  });
});
