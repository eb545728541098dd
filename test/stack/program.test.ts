import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import * as pulumi from '@pulumi/pulumi';
import { parse } from 'yaml';

const ROOT = new URL('../../', import.meta.url);

interface Registered {
  readonly type: string;
  readonly name: string;
}

interface Program {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly registered: readonly Registered[];
}

let runs = 0;

/** Runs the program afresh, as Pulumi's engine would, with a monitor that records what it asks for. */
async function runProgram(config: Record<string, string>): Promise<Program> {
  const registered: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        registered.push({ type, name });
        return { id: `${name}-id`, state: inputs };
      },
      call: ({ inputs }) => inputs,
    },
    'hfi',
    'test',
  );
  pulumi.runtime.setAllConfig(config);
  // A module runs once an address; the query makes it a new one.
  const exports: Record<string, unknown> = await import(new URL(`index.ts?run=${runs++}`, ROOT).href);
  // Resources are registered in the background; this is the end of the last one.
  await pulumi.runtime.disconnect();
  return { exports, registered };
}

describe('the stack', () => {
  it('gives the defaults when nothing is set', async () => {
    const { exports } = await runProgram({});
    assert.equal(exports.systemNamespace, 'boifi');
    assert.deepEqual(exports.filterConfig, { leaseMs: 60_000, maxDelayedRequests: 1000 });
  });

  it('hands on what is set, in milliseconds and numbers', async () => {
    const { exports } = await runProgram({ 'hfi:systemNamespace': 'chaos', 'hfi:lease': '1.5m', 'hfi:maxDelayedRequests': '50' });
    assert.equal(exports.systemNamespace, 'chaos');
    assert.deepEqual(exports.filterConfig, { leaseMs: 90_000, maxDelayedRequests: 50 });
  });

  it("exports the version and the built filter's hash, or none when it isn't built", async () => {
    const { exports } = await runProgram({});
    assert.equal(exports.version, JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')).version);
    const plugin = new URL('dist/filter/plugin.wasm', ROOT);
    const wanted = existsSync(plugin) ? createHash('sha256').update(readFileSync(plugin)).digest('hex') : undefined;
    assert.equal(exports.wasmSha256, wanted);
  });

  it('creates nothing so far', async () => {
    const { registered } = await runProgram({});
    assert.deepEqual(registered, []);
  });

  it('refuses a wrong configuration before anything else', async () => {
    await assert.rejects(runProgram({ 'hfi:lease': '1s' }), /hfi:lease is "1s", but must be a duration from 5s to 1h/);
  });

  it('runs with the stack dev as it is committed', async () => {
    const { config } = parse(readFileSync(new URL('Pulumi.dev.yaml', ROOT), 'utf8'));
    const { exports } = await runProgram(config);
    assert.equal(exports.systemNamespace, 'boifi');
  });

  it('is run by Node itself, without ts-node', () => {
    const project = parse(readFileSync(new URL('Pulumi.yaml', ROOT), 'utf8'));
    assert.equal(project.name, 'hfi');
    assert.equal(project.runtime.name, 'nodejs');
    assert.equal(project.runtime.options.typescript, false);
  });
});
