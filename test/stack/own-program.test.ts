import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runProgram } from './program.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe("a program of one's own, as the documentation has it", function () {
  this.timeout(30_000);
  let folder = '';

  before(() => {
    // Inside the project, whose packages it takes.
    mkdirSync(join(ROOT, '.hfi'), { recursive: true });
    folder = mkdtempSync(join(ROOT, '.hfi', 'own-program-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function run(change: (source: string) => string = (source) => source) {
    const [, source = ''] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs', 'own-program.md'), 'utf8')) ?? [];
    const file = join(folder, 'index.ts');
    writeFileSync(file, change(source).replaceAll("'./hfi/", `'${ROOT}`));
    const config = { 'experiments:proxyToken': 'p', 'experiments:editorToken': 'e' };
    return runProgram(config, pathToFileURL(file).href);
  }

  it('makes the filter and the policy, and nothing else of HFI', async () => {
    const { registered } = await run();
    assert.deepEqual(registered.map(({ type, name }) => `${type} ${name}`).sort(), [
      'hfi:index:MeshFilter filter',
      'kubernetes:extensions.istio.io/v1alpha1:WasmPlugin filter-pay',
      'kubernetes:extensions.istio.io/v1alpha1:WasmPlugin filter-shop',
      'pulumi-nodejs:dynamic:Resource slow-payments',
      'pulumi:pulumi:StackReference organization/hfi/prod',
    ]);
  });

  it('names the wrong field of a policy before anything is made', async () => {
    await assert.rejects(
      run((source) => source.replace('fixed_delay:', 'fixed_dely:')),
      /slow-payments can't be used:\n {2}- spec\.rules\[0\]\.fault\.delay.*fixed_dely: is no field here \(did you mean fixed_delay\?\)/,
    );
  });
});
