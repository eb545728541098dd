import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { TOKENS } from '../support/control-plane.ts';
import { until } from '../support/processes.ts';
import { misfits } from './schemas.ts';
import { policyText, Stack } from './stack.ts';

describe('hfi halt and hfi resume', function () {
  this.timeout(60_000);
  let stack: Stack;
  /** Ends the simulated proxies of a test. */
  let ending: AbortController;

  // A control plane of its own for each test: it remembers proxies that are gone for as long as their leases run.
  beforeEach(async () => {
    ending = new AbortController();
    stack = await Stack.start();
    await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('a') });
  });
  afterEach(async () => {
    ending.abort();
    await stack.end();
  });

  /** A proxy that polls and acknowledges, until the test ends. */
  async function proxy(name: string, namespace = 'demo', leaseMs = 60_000): Promise<void> {
    const { signal } = ending;
    const headers = { 'x-hfi-lease-ms': String(leaseMs) };
    let has = (await stack.server.poll({ name, namespace, headers })).headers.get('etag') ?? '';
    void (async () => {
      while (!signal.aborted) {
        const reply = await stack.server.poll({ name, namespace, headers, has, wait: 5, signal }).catch(() => undefined);
        if (reply?.status === 200) has = reply.headers.get('etag') ?? '';
      }
    })();
    await until(
      async () => ((await stack.server.ask('GET', '/v1/rollout?revision=1')).body.done as boolean) === true,
      'it runs what it should',
    );
  }

  it('returns when all have acknowledged: exit code 0, the result on stdout, the count on stderr', async () => {
    await Promise.all([proxy('one'), proxy('two', 'other')]);
    const { code, stdout, stderr } = await stack.hfi(['halt', '--reason', 'checkout is down']);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'halted: everything\n');
    assert.match(stderr, /^acknowledged by 2 of 2 proxies in \d+ ms\n$/);
  });

  it('again: exit code 0, and says whose halt it is', async () => {
    await stack.hfi(['halt', '--reason', 'first'], { env: { HFI_TOKEN: TOKENS.editor } });
    const { code, stdout } = await stack.hfi(['halt', '--reason', 'second']);
    assert.equal(code, 0);
    assert.match(stdout, /^halted already: everything, by the-editor \(editor\) since 20\S+Z: first\n$/);
  });

  it('of a namespace: its proxies alone are waited for', async () => {
    await proxy('one');
    await stack.server.poll({ name: 'silent', namespace: 'other' });
    const { code, stdout, stderr } = await stack.hfi(['halt', '--namespace', 'demo']);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'halted: namespace demo\n');
    assert.match(stderr, /1 of 1 proxy/);
    const list = await stack.hfi(['policy', 'list']);
    assert.match(list.stderr, /^halted: namespace demo, by the-admin .*; nothing is injected there until hfi resume --namespace demo\n/);
    assert.match(list.stdout, /^a .* halted /m);
  });

  it('of a namespace in which nobody is: says so', async () => {
    await proxy('one');
    const { code, stderr } = await stack.hfi(['halt', '--namespace', 'other']);
    assert.equal(code, 0);
    assert.match(stderr, /warning: no proxy of namespace other is connected\n$/);
    assert.match((await stack.hfi(['halt', '--namespace', 'demoo'])).stderr, /namespace demoo is connected; did you mean demo\?\n$/);
  });

  it('who does not acknowledge in time: exit code 6, each named with the end of its lease, also when quiet', async () => {
    await proxy('well');
    await stack.server.poll({ name: 'deaf', headers: { 'x-hfi-lease-ms': '40000' } });
    const begun = performance.now();
    const { code, stdout, stderr } = await stack.hfi(['halt', '--timeout', '1s', '--quiet']);
    assert.equal(code, 6, stderr);
    assert.ok(performance.now() - begun < 4000);
    assert.equal(stdout, 'halted: everything\n');
    assert.match(stderr, /^warning: deaf has not acknowledged: .*; its lease ends at 20\S+Z \(in 3\ds\), and its faults with it\n$/);
  });

  it('who is not connected and whose lease runs: exit code 6 at once, named; not when the lease has ended', async () => {
    await proxy('well');
    const gone = new AbortController();
    const where = { name: 'gone', headers: { 'x-hfi-lease-ms': '9000' } };
    const has = (await stack.server.poll(where)).headers.get('etag') ?? '';
    const held = stack.server.poll({ ...where, has, wait: 30, signal: gone.signal }).catch(() => undefined);
    await sleep(100);
    gone.abort();
    await held;
    const left = performance.now();
    const json = await stack.hfi(['halt', '-o', 'json']);
    assert.equal(json.code, 6, json.stderr);
    assert.ok(performance.now() - left < 5000, 'nobody waits for who is not there');
    const { open, selected, acknowledged } = JSON.parse(json.stdout) as {
      open: { name: string; connected: boolean; leaseEndsAt: string }[];
      selected: number;
      acknowledged: number;
    };
    assert.deepEqual([selected, acknowledged, open.map(({ name, connected }) => [name, connected])], [1, 1, [['gone', false]]]);
    assert.match(json.stderr, /warning: gone is not connected; its lease ends at/);
    await sleep(Math.max(0, left + 9500 - performance.now()));
    const later = await stack.hfi(['halt']);
    assert.equal(later.code, 0, later.stderr);
  });

  it('applies nothing while halted: exit code 1, with who, since when, why and what to do; deletes go through', async () => {
    await stack.hfi(['halt', '--reason', 'checkout is down']);
    for (const more of [[], ['--dry-run']]) {
      const refused = await stack.hfi(['policy', 'apply', '-f', '-', ...more], { stdin: policyText('b') });
      assert.equal(refused.code, 1);
      assert.equal(refused.stdout, '');
      assert.match(
        refused.stderr,
        /^error: Everything is halted by the-admin since 20\S+Z \("checkout is down"\); no policy can be applied to it until an admin resumes: hfi resume\.\n$/,
      );
    }
    const deleted = await stack.hfi(['policy', 'delete', 'a', '--yes']);
    assert.equal(deleted.code, 0, deleted.stderr);
  });

  it('status, list and describe say what is halted, by whom and since when', async () => {
    await proxy('one');
    await stack.hfi(['halt', '--reason', 'checkout is down']);
    const by = /by the-admin \(admin\) since 20\S+Z: checkout is down/;
    const status = await stack.hfi(['status']);
    assert.equal(status.code, 0);
    assert.match(status.stdout, /^HALTED {9}everything, by the-admin \(admin\) since 20\S+Z: checkout is down; hfi resume lets it go on$/m);
    const list = await stack.hfi(['policy', 'list']);
    assert.match(list.stderr, by);
    assert.match(list.stdout, /^a .* halted /m);
    const describe = await stack.hfi(['policy', 'describe', 'a']);
    assert.match(describe.stdout, /^HALTED {5}everything, by the-admin/m);
    assert.match((await stack.hfi(['audit', '--limit', '1'])).stdout, /the-admin \(admin\) .* halt +everything/);
    await stack.hfi(['resume', '--yes']);
    for (const args of [['status'], ['policy', 'list'], ['policy', 'describe', 'a']]) {
      const { stdout, stderr } = await stack.hfi(args);
      assert.doesNotMatch(`${stdout}${stderr}`, /halted/i, args.join(' '));
    }
  });

  it('resume: only an admin; asks, or takes --yes; what is not halted is no failure', async () => {
    await stack.hfi(['halt']);
    const silent = await stack.hfi(['resume']);
    assert.equal(silent.code, 2);
    assert.match(silent.stderr, /--yes/);
    const editor = await stack.hfi(['resume', '--yes'], { env: { HFI_TOKEN: TOKENS.editor } });
    assert.equal(editor.code, 5);
    assert.match(editor.stderr, /editor may not.*admin/);
    const no = await stack.onTerminal(['resume'], { typed: { after: '[y/N]', keys: 'n\n' } });
    assert.equal(no.code, 1);
    assert.match(no.stdout, /everything, by the-admin.*\n.*Nothing was resumed/s);
    assert.equal((await stack.server.ask('GET', '/v1/halt')).body.halted, true);
    const yes = await stack.onTerminal(['resume'], { typed: { after: '[y/N]', keys: 'y\n' } });
    assert.equal(yes.code, 0, yes.stdout);
    assert.match(yes.stdout, /resumed: everything/);
    const again = await stack.hfi(['resume']);
    assert.deepEqual([again.code, again.stdout], [0, 'not halted: everything\n'], again.stderr);
  });

  it('resume of everything leaves the halt of a namespace, and says so', async () => {
    await stack.hfi(['halt', '--namespace', 'demo']);
    await stack.hfi(['halt']);
    const { code, stdout, stderr } = await stack.hfi(['resume', '--yes']);
    assert.deepEqual([code, stdout], [0, 'resumed: everything\n']);
    assert.match(stderr, /^still halted: namespace demo, by the-admin/);
    assert.equal((await stack.hfi(['resume', '--namespace', 'demo', '--yes'])).stdout, 'resumed: namespace demo\n');
  });

  it('a viewer may do neither', async () => {
    for (const args of [['halt'], ['resume', '--yes']]) {
      assert.equal((await stack.hfi(args, { env: { HFI_TOKEN: TOKENS.viewer } })).code, 5, args.join(' '));
    }
    assert.equal((await stack.server.ask('GET', '/v1/halt')).body.halted, false);
  });

  it('a namespace that is none is refused', async () => {
    const { code, stderr } = await stack.hfi(['halt', '--namespace', 'a/b']);
    assert.equal(code, 1);
    assert.match(stderr, /namespace.*DNS label/);
  });

  it('--output json fits its schema, halted and not', async () => {
    await proxy('one');
    await stack.server.poll({ name: 'deaf' });
    const halted = await stack.hfi(['halt', '--timeout', '300ms', '-o', 'json']);
    assert.deepEqual(misfits('halt', JSON.parse(halted.stdout)), []);
    for (const [schema, args] of [
      ['status', ['status']],
      ['policy-list', ['policy', 'list']],
      ['policy-describe', ['policy', 'describe', 'a']],
      ['audit', ['audit']],
    ] as const) {
      const value: unknown = JSON.parse((await stack.hfi([...args, '-o', 'json'])).stdout);
      assert.deepEqual(misfits(schema, value), [], schema);
      if (schema !== 'audit') assert.equal((value as { halts: unknown[] }).halts.length, 1, schema);
    }
    for (const result of ['resumed', 'unchanged']) {
      const { stdout } = await stack.hfi(['resume', '--yes', '-o', 'json']);
      assert.deepEqual(misfits('resume', JSON.parse(stdout)), []);
      assert.equal((JSON.parse(stdout) as { result: string }).result, result);
    }
  });
});

describe('hfi halt without etcd', function () {
  this.timeout(60_000);

  it('halts all the same, says that it is not kept, exit code 6; it is kept when etcd is back', async () => {
    const stack = await Stack.start();
    try {
      const name = 'one';
      const has = (await stack.server.poll({ name })).headers.get('etag') ?? '';
      const held = stack.server.poll({ name, has, wait: 20 });
      await stack.etcd.kill();
      const running = stack.hfi(['halt', '--timeout', '3s']);
      const halted = (await held).headers.get('etag') ?? '';
      assert.notEqual(halted, has);
      void stack.server.poll({ name, has: halted, wait: 10 }).catch(() => undefined);
      const { code, stdout, stderr } = await running;
      assert.equal(code, 6, stderr);
      assert.equal(stdout, 'halted: everything\n');
      assert.match(stderr, /acknowledged by 1 of 1 proxy/);
      assert.match(stderr, /warning: etcd does not answer: the halt is tried until it is kept/);
      const resume = await stack.hfi(['resume', '--yes']);
      assert.equal(resume.code, 3, resume.stderr);
      await stack.etcd.start();
      await until(
        async () => ((await stack.server.ask('GET', '/v1/halt')).body.halts as { kept: boolean }[])[0]?.kept === true,
        'it is kept',
      );
      assert.equal((await stack.hfi(['halt'])).code, 0);
    } finally {
      await stack.end();
    }
  });
});
