import assert from 'node:assert/strict';
import { policyText, Stack } from './stack.ts';

describe('hfi policy delete', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
  });
  beforeEach(async () => {
    await stack.empty();
    await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: `${policyText('a')}---\n${policyText('b')}` });
  });
  after(() => stack.end());

  async function isThere(name: string): Promise<boolean> {
    return (await stack.server.ask('GET', `/v1/policies/${name}`)).status === 200;
  }

  it('--yes deletes each and says so on stdout', async () => {
    const { code, stdout } = await stack.hfi(['policy', 'delete', 'a', 'b', '--yes']);
    assert.equal(code, 0);
    assert.equal(stdout, 'policy/a deleted\npolicy/b deleted\n');
    assert.deepEqual([await isThere('a'), await isThere('b')], [false, false]);
  });

  it('-f deletes what the file names, and nothing else', async () => {
    const { code, stdout } = await stack.hfi(['policy', 'delete', '-f', stack.file('b.yaml', policyText('b')), '--yes']);
    assert.equal(code, 0);
    assert.equal(stdout, 'policy/b deleted\n');
    assert.deepEqual([await isThere('a'), await isThere('b')], [true, false]);
  });

  it('what is gone: exit code 4, and the others are deleted', async () => {
    const { code, stdout, stderr } = await stack.hfi(['policy', 'delete', 'gone', 'a', '--yes']);
    assert.equal(code, 4);
    assert.equal(stdout, 'policy/a deleted\n');
    assert.match(stderr, /"gone"/);
  });

  it('--ignore-not-found: what is gone is no failure', async () => {
    const { code, stderr } = await stack.hfi(['policy', 'delete', 'gone', '--yes', '--ignore-not-found']);
    assert.equal(code, 0, stderr);
  });

  it('without a terminal and without --yes: a usage error, and nothing is deleted', async () => {
    const { code, stderr } = await stack.hfi(['policy', 'delete', 'a'], { stdin: 'y\n' });
    assert.equal(code, 2);
    assert.match(stderr, /--yes/);
    assert.equal(await isThere('a'), true);
  });

  it('names neither policy nor file: a usage error', async () => {
    const { code, stderr } = await stack.hfi(['policy', 'delete', '--yes']);
    assert.equal(code, 2);
    assert.match(stderr, /-f/);
  });

  it('names can not leave the path of the policies', async () => {
    const { code } = await stack.hfi(['policy', 'delete', '../policies/a', '--yes']);
    assert.notEqual(code, 0);
    assert.equal(await isThere('a'), true);
  });

  describe('on a terminal it asks', () => {
    const ASKED = '[y/N]';
    it('y deletes', async () => {
      const { code, stdout } = await stack.onTerminal(['policy', 'delete', 'a'], { typed: { after: ASKED, keys: 'y\n' } });
      assert.equal(code, 0, stdout);
      assert.match(stdout, /Delete policy a\? \[y\/N\]/);
      assert.equal(await isThere('a'), false);
    });
    for (const [what, keys] of [
      ['n', 'n\n'],
      ['nothing but enter', '\n'],
      ['something else', 'yeah no\n'],
      ['Ctrl-C', '\u0003'],
      ['Ctrl-D', '\u0004'],
    ] as const) {
      it(`${what} deletes nothing, exit code 1`, async () => {
        const { code, stdout } = await stack.onTerminal(['policy', 'delete', 'a'], { typed: { after: ASKED, keys } });
        assert.equal(code, 1, stdout);
        assert.match(stdout, /Nothing was deleted/);
        assert.equal(await isThere('a'), true);
      });
    }
  });

  it('--wait returns when no proxy runs it any more', async () => {
    const gone = new AbortController();
    const polling = (async () => {
      let has: string | undefined;
      while (!gone.signal.aborted) {
        const answer = await stack.server
          .poll({ name: 'sidecar', wait: 5, signal: gone.signal, ...(has === undefined ? {} : { has }) })
          .catch(() => undefined);
        if (answer?.status === 200) has = answer.headers.get('etag') ?? undefined;
      }
    })();
    try {
      const { code, stderr } = await stack.hfi(['policy', 'delete', 'a', '--yes', '--wait']);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /acknowledged by 1 of 1 proxy in \d+ ms/);
    } finally {
      gone.abort();
      await polling;
    }
  });

  it('--wait, not in time: names who is missing, exit code 6', async () => {
    await stack.server.poll({ name: 'sidecar-silent' });
    const { code, stdout, stderr } = await stack.hfi(['policy', 'delete', 'a', '--yes', '--wait', '--timeout', '1s']);
    assert.equal(code, 6);
    assert.equal(stdout, 'policy/a deleted\n');
    assert.match(stderr, /sidecar-silent/);
  });
});
