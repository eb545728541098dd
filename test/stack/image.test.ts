import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { images } from '../../components/images.ts';
import { runProgram } from './program.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

/** The instructions of the Dockerfile, which has none over several lines. */
function instructions(): Instruction[] {
  return readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [word = '', ...rest] = line.split(' ');
      return { word, rest: rest.join(' ') };
    });
}

describe('the prebuilt image', function () {
  this.timeout(60_000);
  const all = instructions();
  const last = all.slice(all.findLastIndex(({ word }) => word === 'FROM'));
  const only = (word: string): string => {
    const [found, ...more] = last.filter((one) => one.word === word);
    assert.ok(found !== undefined && more.length === 0, `one ${word} in the last stage`);
    return found.rest;
  };
  const entryPoint = (): string[] => JSON.parse(only('ENTRYPOINT'));
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hfi-image-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('is made from the stock Node image, in both stages', () => {
    const [first, ...rest] = all;
    assert.deepEqual(first, { word: 'ARG', rest: `NODE_IMAGE=${images.node}` });
    const stages = rest.filter(({ word }) => word === 'FROM').map((one) => one.rest);
    assert.deepEqual(stages, [`\${NODE_IMAGE} AS build`, `\${NODE_IMAGE}`]);
  });

  it('needs no shell, and no root when it runs', () => {
    for (const { word, rest } of all) if (['RUN', 'CMD', 'ENTRYPOINT'].includes(word)) assert.ok(Array.isArray(JSON.parse(rest)), rest);
    assert.match(only('USER'), /^[1-9]\d*:[1-9]\d*$/);
  });

  it('starts what the pod starts from the bundle', async () => {
    const { registered } = await runProgram({});
    const deployment = registered.find(({ type, name }) => type.endsWith(':Deployment') && name === 'hfi-control-plane');
    assert.deepEqual(entryPoint(), deployment?.inputs.spec.template.spec.containers[0].command);
  });

  // Without a container engine: the same files in the same places.
  it('builds from what .dockerignore lets in, and its program starts with what the last stage has', () => {
    const [nothing, ...allowed] = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    assert.equal(nothing, '*');
    for (const line of allowed) {
      assert.match(line, /^!/);
      cpSync(join(ROOT, line.slice(1)), join(folder, 'build', line.slice(1)), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'build', 'node_modules'));
    const built = spawnSync(process.execPath, ['build/main.ts'], { cwd: join(folder, 'build'), encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);

    for (const { rest } of last.filter(({ word }) => word === 'COPY')) {
      const [, from = '', to = ''] = /^--from=build (\/build\/dist\/\S+) (\/app\/\S+)$/.exec(rest) ?? [];
      assert.ok(from !== '' && existsSync(join(folder, from)), rest);
      cpSync(join(folder, from), join(folder, to), { recursive: true });
    }
    // Beside the program's folder, where it looks for the filter.
    assert.ok(existsSync(join(folder, 'app', 'filter', 'plugin.wasm')));
    const [command, program = ''] = entryPoint();
    assert.equal(command, 'node');
    const start = (env: NodeJS.ProcessEnv) => spawnSync(process.execPath, [join(folder, program)], { env, encoding: 'utf8' });
    const unset = start({});
    assert.deepEqual([unset.status, /HFI_TOKENS_FILE is not set/.test(unset.stderr)], [2, true], unset.stderr.slice(-300));
  });
});
