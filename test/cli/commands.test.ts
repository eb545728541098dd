import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMANDS, type CommandClass, SUMMARIES } from '../../cli/command-map.ts';
import { EXIT_MEANINGS } from '../../cli/exit-codes.ts';
import { hfi, ROOT, run } from './hfi.ts';

/** What is listed by hand so that a start need not look for it, compared with what is there. */
describe('hfi: the map of commands', function () {
  this.timeout(30_000);
  const names = Object.keys(COMMANDS);

  it('names every file of cli/commands and nothing else', () => {
    const files = globSync('**/*.ts', { cwd: join(ROOT, 'cli', 'commands') }).map((file) => file.slice(0, -3).replaceAll('/', ' '));
    assert.deepEqual(names.toSorted(), files.toSorted());
  });

  for (const name of names) {
    it(`${name}: the overview says what the command says, and there is an example`, async () => {
      const command = (await COMMANDS[name]?.())?.default as CommandClass;
      assert.equal(SUMMARIES[name], command.summary);
      assert.ok((command.examples ?? []).length > 0, 'no example');
      for (const example of command.examples ?? []) {
        assert.match(typeof example === 'string' ? example : example.command, new RegExp(`<%= config\\.bin %> ${name}\\b`));
      }
    });

    it(`${name} --help shows the examples, filled in, and the exit codes`, async () => {
      const { code, stdout, stderr } = await hfi([...name.split(' '), '--help']);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.match(stdout, new RegExp(`EXAMPLES\\n[^]*hfi ${name}`));
      assert.doesNotMatch(stdout, /<%/);
      for (const meaning of Object.values(EXIT_MEANINGS)) assert.ok(stdout.includes(meaning), meaning);
    });
  }

  it('what JavaScript objects have is no command', async () => {
    for (const word of ['toString', '__proto__', 'constructor']) assert.equal((await hfi([word])).code, 2, word);
  });
});

describe('hfi: the entry', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hfi-entry-'));
    await cp(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('says so when the CLI is not built', async () => {
    const { code, stderr } = await run(process.execPath, [join(folder, 'bin', 'hfi.js'), 'status']);
    assert.equal(code, 2);
    assert.match(stderr, /^error: .*npm run build/);
  });

  it('says so when Node is too old and the project has none of its own', async () => {
    const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } });`;
    const { code, stderr } = await run(process.execPath, [
      '--import',
      `data:text/javascript,${encodeURIComponent(older)}`,
      join(folder, 'bin', 'hfi.js'),
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /^error: hfi needs Node\.js 22.*npm ci/);
  });
});
