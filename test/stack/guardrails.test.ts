import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readGuardrails } from '../../services/control-plane/guardrails/settings.ts';
import { type Program, runProgram } from './program.ts';

const GUARDRAILS = {
  maxPercentage: 20,
  forbiddenPaths: ['/healthz', { prefix: '/internal/' }],
  hours: [{ from: '09:00', to: '16:00', zone: 'Europe/Berlin' }],
  namespaces: { demo: { hours: null }, shop: {} },
};

describe('the stack: guardrails', function () {
  this.timeout(60_000);
  const find = ({ registered }: Program, type: RegExp, name: string) => registered.find((one) => type.test(one.type) && one.name === name);
  const podOf = (program: Program) => find(program, /Deployment$/, 'hfi-control-plane')?.inputs.spec.template.spec;
  const envOf = (program: Program): { name: string; value?: string; valueFrom?: object }[] => podOf(program).containers[0].env;

  it('are a file in the pods that the control plane takes as it was meant', async () => {
    const program = await runProgram({ 'hfi:guardrails': JSON.stringify(GUARDRAILS) });
    const map = find(program, /ConfigMap$/, 'hfi-guardrails')?.inputs;
    const folder = mkdtempSync(join(tmpdir(), 'hfi-guardrails-stack-'));
    try {
      const file = join(folder, 'guardrails.json');
      writeFileSync(file, map.data['guardrails.json']);
      const read = readGuardrails({ HFI_GUARDRAILS_FILE: file });
      assert.deepEqual(
        [read?.maxPercentage, read?.requireEnd, read?.namespaces?.demo?.hours, read?.hours?.[0]?.days.length],
        [20, true, null, 5],
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
    assert.equal(map.metadata.name, undefined, 'its name changes with what is in it, and the pods with its name');
    const pod = podOf(program);
    const path = envOf(program).find(({ name }) => name === 'HFI_GUARDRAILS_FILE')?.value ?? '';
    const mount = pod.containers[0].volumeMounts.find(({ name }: { name: string }) => name === 'guardrails');
    assert.equal(path, `${mount.mountPath}/guardrails.json`);
    assert.match(pod.volumes.find(({ name }: { name: string }) => name === 'guardrails').configMap.name, /^hfi-guardrails-/);
  });

  it('are no file where none are set; the own namespace is known all the same', async () => {
    const program = await runProgram({});
    assert.equal(find(program, /ConfigMap$/, 'hfi-guardrails'), undefined);
    assert.ok(!envOf(program).some(({ name }) => name === 'HFI_GUARDRAILS_FILE'));
    const own = envOf(program).find(({ name }) => name === 'HFI_NAMESPACE');
    assert.deepEqual(own?.valueFrom, { fieldRef: { fieldPath: 'metadata.namespace' } });
  });

  it('that are wrong are refused before anything is made', async () => {
    await assert.rejects(
      runProgram({ 'hfi:guardrails': JSON.stringify({ maxPercentages: 5 }) }),
      /hfi:guardrails\.maxPercentages: is no field here\. Did you mean maxPercentage\?/,
    );
  });
});
