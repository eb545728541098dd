import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { TOKENS } from '../support/control-plane.ts';
import { hfi, run } from './hfi.ts';
import { misfits } from './schemas.ts';
import { policyText, Stack } from './stack.ts';

/** The escape sequences that colours are made of. */
const ESCAPE = '\u001b[';

describe('hfi: what is printed where', function () {
  this.timeout(60_000);
  let stack: Stack;
  let file: string;

  before(async () => {
    stack = await Stack.start();
    file = stack.file(
      'slow.yaml',
      policyText('slow', '{ delay: { fixed_delay: 2s }, abort: { httpStatus: 503 }, percentage: 12.5, duration_seconds: 600 }'),
    );
    await stack.server.poll({ name: 'sidecar-of-frontend' });
    const { code, stderr } = await stack.hfi(['policy', 'apply', '-f', file]);
    assert.equal(code, 0, stderr);
  });
  after(() => stack.end());

  describe('--output json fits its schema', () => {
    const rows: { schema: string; args: () => string[] }[] = [
      { schema: 'policy-apply', args: () => ['policy', 'apply', '-f', file] },
      { schema: 'policy-apply', args: () => ['policy', 'apply', '-f', file, '--dry-run'] },
      { schema: 'policy-get', args: () => ['policy', 'get', 'slow'] },
      { schema: 'policy-list', args: () => ['policy', 'list'] },
      { schema: 'policy-describe', args: () => ['policy', 'describe', 'slow'] },
      { schema: 'proxy-list', args: () => ['proxy', 'list'] },
      { schema: 'status', args: () => ['status'] },
      { schema: 'audit', args: () => ['audit'] },
      { schema: 'audit', args: () => ['audit', 'list'] },
      { schema: 'audit-verify', args: () => ['audit', 'verify'] },
      { schema: 'context-list', args: () => ['context', 'list'] },
    ];
    for (const { schema, args } of rows) {
      it(`hfi ${args().slice(0, 2).join(' ')}${args().includes('--dry-run') ? ' --dry-run' : ''}`, async () => {
        const { code, stdout, stderr } = await stack.hfi([...args(), '-o', 'json']);
        // The status of a proxy that is not well is 1, with the data all the same.
        assert.ok(code === 0 || (schema === 'status' && code === 1), stderr);
        assert.deepEqual(misfits(schema, JSON.parse(stdout)), []);
      });
    }

    it('hfi policy delete', async () => {
      await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('short-lived') });
      const { code, stdout, stderr } = await stack.hfi(['policy', 'delete', 'short-lived', '--yes', '-o', 'json']);
      assert.equal(code, 0, stderr);
      assert.deepEqual(misfits('policy-delete', JSON.parse(stdout)), []);
    });

    it('the lists are not empty, so that the schemas of their items were asked', async () => {
      for (const args of [['policy', 'list'], ['proxy', 'list'], ['audit'], ['status']]) {
        const { stdout } = await stack.hfi([...args, '-o', 'json']);
        assert.ok((JSON.parse(stdout) as { items: unknown[] }).items.length > 0, args.join(' '));
      }
    });

    it('a value that does not fit is told', () => {
      assert.deepEqual(misfits('policy-delete', { items: [{ name: 'a', result: 'deleted', resourceVersion: 7 }] }).length, 1);
      assert.deepEqual(misfits('context-list', { items: [], more: true }).length, 1);
      assert.deepEqual(misfits('policy-list', { items: [{ metadata: {}, spec: {}, status: {} }] }).length > 0, true);
    });
  });

  it('--output yaml says the same as --output json', async () => {
    for (const args of [['policy', 'get', 'slow'], ['policy', 'list'], ['audit']]) {
      const [json, yaml] = await Promise.all([stack.hfi([...args, '-o', 'json']), stack.hfi([...args, '-o', 'yaml'])]);
      assert.deepEqual(parse(yaml.stdout), JSON.parse(json.stdout), args.join(' '));
    }
  });

  it('what get prints can be applied again and is unchanged but for its time', async () => {
    const { stdout } = await stack.hfi(['policy', 'get', 'slow']);
    const again = await stack.hfi(['policy', 'apply', '-f', '-', '--dry-run'], { stdin: stdout });
    assert.equal(again.stdout, 'policy/slow configured (dry run)\n', again.stderr);
  });

  it('apply: results on stdout, whom it selects on stderr', async () => {
    const { stdout, stderr } = await stack.hfi(['policy', 'apply', '-f', file]);
    assert.equal(stdout, 'policy/slow configured\n');
    assert.match(stderr, /selects 1 proxy/);
  });

  it('an empty list: nothing but JSON on stdout; a hint on stderr', async () => {
    const viewer = await Stack.start();
    try {
      const table = await viewer.hfi(['policy', 'list']);
      assert.match(table.stderr, /policy apply -f/);
      assert.doesNotMatch(table.stdout, /policy apply/);
      assert.deepEqual(JSON.parse((await viewer.hfi(['policy', 'list', '-o', 'json'])).stdout), { items: [], halts: [] });
    } finally {
      await viewer.end();
    }
  });

  it('--quiet: nothing on stderr when all is well, the data as before', async () => {
    const { stdout, stderr } = await stack.hfi(['policy', 'apply', '-f', file, '--quiet']);
    assert.equal(stdout, 'policy/slow configured\n');
    assert.equal(stderr, '');
  });

  it('--quiet does not hide errors', async () => {
    const { code, stderr } = await stack.hfi(['policy', 'get', 'gone', '--quiet']);
    assert.equal(code, 4);
    assert.match(stderr, /^error: .*gone/);
  });

  it('describe says the rule in words, whom it selects and what is left', async () => {
    // A slow machine takes longer to come here than a silent proxy counts as connected.
    await stack.server.poll({ name: 'sidecar-of-frontend' });
    const { stdout } = await stack.hfi(['policy', 'describe', 'slow']);
    assert.match(stdout, /^slow {2}active, ends .*Z \((9m \d+s|10m)\)/);
    assert.match(stdout, /service frontend in namespace demo, inbound/);
    assert.match(stdout, /every request: delay 2s, then abort with 503, for 12\.5 % of them/);
    assert.match(stdout, /0 of 1 run it\n.*not yet.*sidecar-of-frontend/);
  });

  it('status shows every part and what is wrong with a proxy', async () => {
    assert.equal((await stack.hfi(['status'])).code, 0);
    await stack.server.poll({ name: 'sidecar-unreadable', namespace: '', headers: { 'x-hfi-unreadable': 'namespace' } });
    const { code, stdout } = await stack.hfi(['status']);
    assert.equal(code, 1);
    assert.match(stdout, /^Control plane +http/m);
    assert.match(stdout, /^etcd +answers/m);
    assert.match(stdout, /^Policies +\d+ active/m);
    assert.match(stdout, /^Proxies +\d+ connected/m);
    assert.match(stdout, /sidecar-unreadable: can not read its namespace/);
  });

  it('audit names who, what and which, newest first, and pages', async () => {
    await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('by-editor'), env: { HFI_TOKEN: TOKENS.editor } });
    const { stdout } = await stack.hfi(['audit', '--limit', '1', '-o', 'json']);
    const first = JSON.parse(stdout) as { items: { actor: { name: string }; action: string; policy: string }[]; nextCursor: string };
    assert.equal(first.items.length, 1);
    assert.deepEqual([first.items[0]?.actor.name, first.items[0]?.action, first.items[0]?.policy], ['the-editor', 'create', 'by-editor']);
    const next = JSON.parse(
      (await stack.hfi(['audit', '--limit', '1', '--cursor', first.nextCursor, '-o', 'json'])).stdout,
    ) as typeof first;
    assert.notEqual(next.items[0]?.policy, 'by-editor');
  });

  describe('colour', () => {
    it('none without a terminal', async () => {
      for (const args of [['policy', 'list'], ['policy', 'apply', '--help'], ['polcy'], ['--help']]) {
        const { stdout, stderr } = await stack.hfi(args);
        assert.ok(!`${stdout}${stderr}`.includes(ESCAPE), args.join(' '));
      }
    });
    it('none on a terminal with NO_COLOR', async () => {
      for (const args of [['policy', 'list'], ['policy', 'apply', '--help'], ['polcy']]) {
        const { stdout } = await stack.onTerminal(args, { env: { NO_COLOR: '1', TERM: 'xterm-256color' } });
        assert.ok(stdout.length > 0);
        assert.ok(!stdout.includes(ESCAPE), args.join(' '));
      }
    });
  });
});

describe('hfi: completion', () => {
  it('bash loads it and completes commands', async () => {
    const { stdout: script } = await hfi(['completion', 'bash']);
    const words = async (...typed: string[]): Promise<string[]> => {
      const list = typed.map((word) => `"${word}"`).join(' ');
      const { code, stdout, stderr } = await run('bash', [
        '-c',
        `set -e\n${script}\nCOMP_WORDS=(${list}); COMP_CWORD=${typed.length - 1}; _hfi; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ]);
      assert.equal(code, 0, stderr);
      return stdout.trim().split('\n');
    };
    assert.deepEqual(await words('hfi', 'pol'), ['policy']);
    assert.deepEqual((await words('hfi', 'policy', '')).sort(), ['apply', 'delete', 'describe', 'diff', 'get', 'list', 'wait']);
    assert.deepEqual(await words('hfi', 'context', 'u'), ['use']);
  });
  for (const shell of ['zsh', 'fish']) {
    it(`${shell} is there and names every topic`, async () => {
      const { code, stdout } = await hfi(['completion', shell]);
      assert.equal(code, 0);
      for (const topic of ['policy', 'proxy', 'status', 'audit', 'context', 'sandbox']) assert.match(stdout, new RegExp(`\\b${topic}\\b`));
    });
  }
  it('an unknown shell is a usage error', async () => {
    const { code, stderr } = await hfi(['completion', 'tcsh']);
    assert.equal(code, 2);
    assert.match(stderr, /bash, zsh, fish/);
  });
});
