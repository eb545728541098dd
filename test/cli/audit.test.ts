import assert from 'node:assert/strict';
import type { Verification } from '../../services/audit/finding.ts';
import { EtcdKeys } from '../support/etcd-keys.ts';
import { until } from '../support/processes.ts';
import { run } from './hfi.ts';
import { policyText, Stack } from './stack.ts';

interface Entry {
  readonly id: string;
  readonly policy: string;
  readonly action: string;
  readonly resourceVersion: string;
}

describe('hfi audit', function () {
  this.timeout(60_000);
  let stack: Stack;
  let keys: EtcdKeys;

  before(async () => {
    stack = await Stack.start();
    keys = new EtcdKeys(stack.etcd.url);
    for (let i = 0; i < 230; i++)
      await stack.server.put(`policy-${i % 5}`, { priority: i, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    await stack.server.ask('DELETE', '/v1/policies/policy-1');
    await until(async () => (await keys.under('/hfi/audit-waiting/')).length === 0, 'all is sealed', 10_000);
  });
  after(() => stack.end());

  const lines = (text: string): unknown[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));

  async function exported(...flags: string[]): Promise<Entry[]> {
    const { code, stdout, stderr } = await stack.hfi(['audit', 'export', ...flags]);
    assert.equal(code, 0, stderr);
    return lines(stdout) as Entry[];
  }

  it('list takes filters, and says what it does not take', async () => {
    const { stdout } = await stack.hfi(['audit', 'list', '--policy', 'policy-1', '--action', 'delete', '--since', '1h']);
    assert.match(stdout, /^TIME .*\n\S+ +the-admin \(admin\) +127\.0\.0\.1 +delete +policy-1\n$/);
    const wrong = await stack.hfi(['audit', 'list', '--action', 'explode']);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /query\.action/);
    const never = await stack.hfi(['audit', 'list', '--since', 'yesterday']);
    assert.equal(never.code, 2);
    assert.match(never.stderr, /--since is "yesterday"; it must be a time such as 24h/);
  });

  it('export writes every entry as a line, newest or oldest first, and says how many on stderr', async () => {
    const newest = await exported();
    const oldest = await exported('--order', 'oldest');
    assert.equal(newest.length, 231);
    assert.deepEqual(newest[0]?.action, 'delete');
    assert.deepEqual(
      oldest,
      newest.toSorted((a, b) => Number(a.resourceVersion) - Number(b.resourceVersion)),
    );
    assert.deepEqual(new Set(newest.map(({ id }) => id)).size, 231);
    const { stderr } = await stack.hfi(['audit', 'export', '--policy', 'policy-2']);
    assert.match(stderr, /^46 entries written$/m);
    assert.deepEqual(await exported('--until', '2020-01-01'), []);
  });

  it('export ends without a word when its reader has read enough', async () => {
    const { code, stdout, stderr } = await run('bash', ['-c', '"$0" bin/hfi.js audit export | head -n 1', process.execPath], {
      env: { HFI_CONTROL_PLANE_ADDR: stack.server.url, HFI_TOKEN: 'viewer-token-0123456789' },
    });
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(lines(stdout).length, 1);
  });

  it('verify: nothing is wrong, and the head can be noted', async () => {
    const { code, stdout } = await stack.hfi(['audit', 'verify']);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^Nothing is wrong: 231 entries, \d+ seals\nHead (\d+:[0-9a-f]{64})\n$/);
    const head = /^Head (.*)$/m.exec(stdout)?.[1] ?? '';
    assert.equal((await stack.hfi(['audit', 'verify', '--head', head])).code, 0);
    const other = await stack.hfi(['audit', 'verify', '--head', `${head.slice(0, -1)}${head.endsWith('0') ? '1' : '0'}`]);
    assert.equal(other.code, 1);
    assert.match(other.stdout, /^ {2}seal \d+ is not in the chain/m);
    assert.equal((await stack.hfi(['audit', 'verify', '--head', 'newest'])).code, 2);
  });

  describe('verify -f: an archive', () => {
    let archive: string[];
    before(async () => {
      const { stdout } = await stack.hfi(['audit', 'export', '--seals', '--order', 'oldest']);
      archive = stdout.trimEnd().split('\n');
    });

    async function verify(text: readonly string[]): Promise<{ code: number | null; found: Verification | undefined; stderr: string }> {
      const file = stack.file('audit.jsonl', `${text.join('\n')}\n`);
      const { code, stdout, stderr } = await stack.hfi(['audit', 'verify', '-f', file, '-o', 'json'], {
        env: { HFI_CONTROL_PLANE_ADDR: 'http://127.0.0.1:1' },
      });
      return { code, found: stdout === '' ? undefined : (JSON.parse(stdout) as Verification), stderr };
    }

    it('can be verified without the control plane', async () => {
      const { code, found } = await verify(archive);
      assert.deepEqual([code, found?.entries, found?.findings], [0, 231, []]);
    });

    it('names an entry that was changed, removed or put in', async () => {
      const entries = archive.map((line, at) => ({ at, line })).filter(({ line }) => line.startsWith('{"id"') || line.includes('"actor"'));
      const one = entries[100];
      assert.ok(one !== undefined);
      const { id } = JSON.parse(one.line) as Entry;
      const changed = archive.with(one.at, one.line.replace('the-admin', 'the-other'));
      const removed = archive.toSpliced(one.at, 1);
      const inserted = archive.toSpliced(one.at, 0, one.line.replace(id, `${id}0`));
      for (const [text, finding] of [
        [changed, ['changed', id]],
        [removed, ['removed', id]],
        [inserted, ['inserted', `${id}0`]],
      ] as const) {
        const { code, found } = await verify(text);
        assert.equal(code, 1);
        assert.deepEqual(
          found?.findings.map(({ kind, of }) => [kind, of]),
          [finding],
        );
      }
    });

    it('says what is no archive', async () => {
      for (const text of [
        archive.slice(0, -1),
        archive.filter((line) => !line.includes('"seal"')).slice(1, -1),
        ['no JSON'],
        ['{"a":1}'],
        [''],
      ]) {
        const { code, stderr } = await verify(text);
        assert.equal(code, 1);
        assert.match(stderr, /audit\.jsonl(:\d+)? (is no line of hfi audit export|has no seals, or its end is missing)/);
      }
      const missing = await stack.hfi(['audit', 'verify', '-f', '/nowhere/audit.jsonl']);
      assert.equal(missing.code, 2);
      assert.match(missing.stderr, /can not be read \(ENOENT\)/);
    });
  });

  describe('in the end', () => {
    it('verify names what was changed in etcd, in words and in JSON, with exit code 1', async () => {
      const found = (await keys.under('/hfi/audit/'))[10];
      assert.ok(found !== undefined);
      const id = found.key.slice('/hfi/audit/'.length);
      await keys.put(found.key, found.value.replace('the-admin', 'somebody'));
      const { code, stdout } = await stack.hfi(['audit', 'verify']);
      assert.equal(code, 1);
      assert.match(stdout, /^1 wrong: 231 entries/);
      assert.ok(stdout.includes(`  entry ${id} says something else than when it was sealed`), stdout);
      const json = JSON.parse((await stack.hfi(['audit', 'verify', '-o', 'json'])).stdout) as Verification;
      assert.deepEqual([json.ok, json.findings[0]?.kind, json.findings[0]?.of], [false, 'changed', id]);
    });

    it('an export right after a change has it', async () => {
      await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('newest') });
      const { stdout } = await stack.hfi(['audit', 'export', '--seals', '--order', 'oldest']);
      const all = lines(stdout) as Partial<Entry>[];
      assert.equal(all.findLast(({ id }) => id !== undefined)?.policy, 'newest');
    });
  });
});
