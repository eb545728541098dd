import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hfi, hfiOnTerminal, type Setting } from './hfi.ts';
import { misfits } from './schemas.ts';

const TOKEN = 'a-token-of-the-test';

describe('hfi: contexts and tokens', function () {
  this.timeout(30_000);
  let folder: string;
  let config: string;
  let server: Server;
  let url: string;
  /** The token of every request that arrived: a list of policies asks for those and for what is halted. */
  let seen: (string | undefined)[];

  before(async () => {
    server = createServer((request, response) => {
      seen.push(request.headers.authorization?.replace('Bearer ', ''));
      response
        .writeHead(200, { 'content-type': 'application/json', 'hfi-control-plane': '0' })
        .end('{"items":[],"halts":[],"nextCursor":null}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hfi-test-'));
    config = join(folder, 'deep', 'config.json');
    seen = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const here = (env: Record<string, string> = {}): Setting => ({ env: { HFI_CONFIG: config, ...env }, cwd: folder });
  const add = (name: string, token: string) => hfi(['context', 'add', name, '--url', url], here({ HFI_TOKEN: token }));

  it('add writes a file that nobody else can read, and uses the new one', async () => {
    const { code, stdout } = await add('one', TOKEN);
    assert.equal(code, 0);
    assert.equal(stdout, 'context/one created\n');
    assert.equal(statSync(config).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(readFileSync(config, 'utf8')), { current: 'one', contexts: { one: { url, token: TOKEN } } });
    assert.equal((await hfi(['policy', 'list'], here())).code, 0);
    assert.deepEqual(seen, [TOKEN, TOKEN]);
  });

  it('list shows each and never a token', async () => {
    await add('one', TOKEN);
    await add('two', 'another-token-of-the-test');
    const { stdout } = await hfi(['context', 'list'], here());
    assert.match(stdout, /^ +one +http/m);
    assert.match(stdout, /^\* +two +http/m);
    for (const format of ['table', 'json', 'yaml']) {
      const shown = await hfi(['context', 'list', '-o', format], here());
      assert.doesNotMatch(shown.stdout + shown.stderr, /token-of-the-test/);
      if (format === 'json') assert.deepEqual(misfits('context-list', JSON.parse(shown.stdout)), []);
    }
  });

  it('use, and a name that is nearly one', async () => {
    await add('staging', TOKEN);
    await add('live', 'another-token-of-the-test');
    assert.equal((await hfi(['context', 'use', 'staging'], here())).code, 0);
    await hfi(['policy', 'list'], here());
    assert.deepEqual(seen, [TOKEN, TOKEN]);
    const { code, stderr } = await hfi(['context', 'use', 'stagging'], here());
    assert.equal(code, 4);
    assert.match(stderr, /did you mean "staging"/);
  });

  it('delete forgets it with its token', async () => {
    await add('one', TOKEN);
    assert.equal((await hfi(['context', 'delete', 'one'], here())).stdout, 'context/one deleted\n');
    assert.doesNotMatch(readFileSync(config, 'utf8'), /token-of-the-test/);
    assert.equal((await hfi(['context', 'delete', 'one'], here())).code, 4);
  });

  it('what a change prints as JSON fits its schema', async () => {
    for (const args of [
      ['add', 'one', '--url', url],
      ['use', 'one'],
      ['delete', 'one'],
    ]) {
      const { stdout, stderr } = await hfi(['context', ...args, '-o', 'json'], here({ HFI_TOKEN: TOKEN }));
      assert.deepEqual(misfits('context-change', JSON.parse(stdout)), [], stderr);
    }
  });

  it('--context and HFI_CONTEXT choose one', async () => {
    await add('one', 'token-one-of-the-test');
    await add('two', 'token-two-of-the-test');
    await hfi(['policy', 'list', '--context', 'one'], here());
    await hfi(['policy', 'list'], here({ HFI_CONTEXT: 'one' }));
    assert.deepEqual(seen, Array(4).fill('token-one-of-the-test'));
  });

  describe('files with secrets', () => {
    for (const mode of [0o644, 0o640, 0o604]) {
      it(`a token file with mode ${mode.toString(8)} is refused, and the message says what to do`, async () => {
        const file = join(folder, 'token');
        writeFileSync(file, TOKEN);
        chmodSync(file, mode);
        const { code, stderr } = await hfi(['policy', 'list', '--control-plane-addr', url, '--token-file', file], here());
        assert.equal(code, 2);
        assert.match(stderr, /chmod 600/);
        assert.deepEqual(seen, []);
      });
    }
    it('a token file with mode 600 is read, without its line end', async () => {
      const file = join(folder, 'token');
      writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
      assert.equal((await hfi(['policy', 'list', '--control-plane-addr', url, '--token-file', file], here())).code, 0);
      assert.deepEqual(seen, [TOKEN, TOKEN]);
    });
    it('a token file that is missing or empty is told', async () => {
      const file = join(folder, 'token');
      const read = () => hfi(['policy', 'list', '--control-plane-addr', url, '--token-file', file], here());
      assert.match((await read()).stderr, /not there/);
      writeFileSync(file, '\n', { mode: 0o600 });
      assert.match((await read()).stderr, /empty/);
    });
    for (const text of [
      '{',
      '[]',
      'null',
      '{"contexts":null}',
      '{"contexts":{"one":null}}',
      '{"contexts":{"one":{"url":5}}}',
      '{"contexts":{},"current":5}',
    ]) {
      it(`contexts that are ${text} are told, without a stack trace`, async () => {
        await add('one', TOKEN);
        writeFileSync(config, text);
        for (const args of [
          ['context', 'list'],
          ['context', 'use', 'one'],
          ['policy', 'list'],
        ]) {
          const { code, stdout, stderr } = await hfi(args, here());
          assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
          assert.equal(stdout, '');
          assert.match(stderr, /mend it or remove it/);
          assert.doesNotMatch(stderr, /\n\s+at |fault of hfi/);
        }
      });
    }
  });

  it('works without a home folder to write to, when everything is given', async () => {
    const { code } = await hfi(['policy', 'list', '--control-plane-addr', url], {
      env: { HOME: '/nonexistent', HFI_TOKEN: TOKEN },
      cwd: folder,
    });
    assert.equal(code, 0);
  });

  it('a list on a terminal is the same table', async () => {
    await add('one', TOKEN);
    const [plain, shown] = await Promise.all([hfi(['context', 'list'], here()), hfiOnTerminal(['context', 'list'], here())]);
    assert.equal(shown.stdout.replaceAll('\r', ''), plain.stdout);
    assert.ok(!existsSync(join(folder, 'typescript')));
  });
});
