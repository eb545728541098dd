import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { until } from '../support/processes.ts';
import { ROOT } from './hfi.ts';
import { misfits } from './schemas.ts';
import { policyText, Stack } from './stack.ts';

/** `hfi policy apply --hold` as a process that runs until it is told to end. */
class Holding {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  code: number | null | undefined;

  constructor(stack: Stack, args: readonly string[], url = stack.server.url) {
    this.child = spawn(process.execPath, [join(ROOT, 'bin', 'hfi.js'), 'policy', 'apply', '--hold', ...args], {
      env: { ...process.env, HFI_CONFIG: join(ROOT, 'no', 'config.json'), HFI_CONTROL_PLANE_ADDR: url, HFI_TOKEN: TOKENS.admin },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (bytes: Buffer) => {
      this.stdout += bytes.toString();
    });
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
    this.child.once('close', (code) => {
      this.code = code;
    });
  }

  async applied(): Promise<void> {
    await until(
      () => this.stderr.includes('run it'),
      () => `it holds: ${this.stdout}${this.stderr}`,
    );
  }

  async ended(ms = 10_000): Promise<void> {
    await until(
      () => this.code !== undefined,
      () => `it ended: ${this.stdout}${this.stderr}`,
      ms,
    );
  }
}

describe('hfi policy apply --hold', function () {
  this.timeout(60_000);
  let stack: Stack;
  /** The control plane that runs; all of them at one address. */
  let server: Replica;
  const holding: Holding[] = [];

  before(async () => {
    stack = await Stack.start();
    server = stack.server;
    for (const name of ['one', 'two']) stack.file(`${name}.yaml`, policyText(name));
  });
  afterEach(async () => {
    for (const one of holding.splice(0)) one.child.kill('SIGKILL');
    await stack.empty();
  });
  after(() => stack.end());

  function hold(names: readonly string[], ...flags: string[]): Holding {
    const one = new Holding(stack, [...names.flatMap((name) => ['-f', join(stack.processes.folder, `${name}.yaml`)]), ...flags]);
    holding.push(one);
    return one;
  }

  interface Policy {
    readonly spec: { readonly lease?: string };
    readonly status: { readonly phase: string; readonly lease: { readonly until: string } | null };
  }

  async function get(name: string): Promise<Policy | undefined> {
    const { status, body } = await stack.server.ask('GET', `/v1/policies/${name}`);
    return status === 200 ? (body as unknown as Policy) : undefined;
  }

  async function lastEnd(name: string): Promise<{ reason: string; at: string } | undefined> {
    const { items } = (await stack.server.ask('GET', `/v1/history?policy=${name}&limit=1`)).body as {
      items: { status: { end: { reason: string; at: string } } }[];
    };
    return items[0]?.status.end;
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`keeps them going, and ends them at ${signal}`, async () => {
      const held = hold(['one', 'two'], '--lease', '5s');
      await held.applied();
      assert.equal((await get('one'))?.spec.lease, '5s');
      const first = (await get('one'))?.status.lease?.until ?? '';
      await until(async () => ((await get('one'))?.status.lease?.until ?? '') > first, 'it is renewed');
      held.child.kill(signal);
      await held.ended();
      assert.equal(held.code, 0, held.stderr);
      assert.match(held.stderr, /^policy\/one deleted$/m);
      assert.match(held.stderr, /^policy\/two deleted$/m);
      assert.deepEqual([await get('one'), await get('two')], [undefined, undefined]);
      assert.equal((await lastEnd('two'))?.reason, 'deleted');
    });
  }

  it('has a lease of 30 s unless the file or the flag says another', async () => {
    stack.file('three.yaml', policyText('three').replace('spec:\n', 'spec:\n  lease: 1m\n'));
    const held = hold(['one', 'three']);
    await held.applied();
    assert.deepEqual([(await get('one'))?.spec.lease, (await get('three'))?.spec.lease], ['30s', '1m']);
  });

  it('when it is gone without a word, the lease ends them, and not earlier', async () => {
    const held = hold(['one'], '--lease', '5s');
    await held.applied();
    const first = (await get('one'))?.status.lease?.until ?? '';
    await until(async () => ((await get('one'))?.status.lease?.until ?? '') > first, 'it is renewed');
    held.child.kill('SIGKILL');
    await held.ended();
    const end = (await get('one'))?.status.lease?.until ?? '';
    await until(async () => (await get('one'))?.status.phase === 'ended', 'it has ended', 7000);
    assert.ok(Date.now() >= Date.parse(end) && Date.now() < Date.parse(end) + 1000);
    assert.deepEqual(await lastEnd('one'), {
      at: end,
      reason: 'expired',
      why: 'its owner did not renew the lease of 5s',
      by: { name: 'hfi', role: 'control-plane' },
    });
  });

  it('says when somebody else deletes one, and goes on with the other', async () => {
    const held = hold(['one', 'two'], '--lease', '5s');
    await held.applied();
    await stack.server.ask('DELETE', '/v1/policies/one', { role: 'editor' });
    await until(() => held.stderr.includes('not held any more'), 'it is told', 5000);
    assert.match(held.stderr, /^policy\/one is not held any more: deleted \S+ by the-editor: it was deleted$/m);
    assert.equal(held.code, undefined);
    held.child.kill('SIGINT');
    await held.ended();
    assert.equal(held.code, 1);
    assert.doesNotMatch(held.stderr, /policy\/one deleted/);
    assert.match(held.stderr, /policy\/two deleted/);
  });

  it('leaves alone what somebody else applied in its place, and ends', async () => {
    const held = hold(['one'], '--lease', '5s');
    await held.applied();
    await stack.server.put('one', { rules: [{ fault: { abort: { httpStatus: 500 } } }] });
    await held.ended();
    assert.equal(held.code, 1);
    assert.match(held.stderr, /^policy\/one is not held any more: replaced \S+ by the-admin: it was applied again$/m);
    assert.equal((await get('one'))?.status.phase, 'active');
  });

  it('at Ctrl-C says that what somebody else applied in its place stays in force', async () => {
    const held = hold(['one'], '--lease', '1m');
    await held.applied();
    await stack.server.put('one', { rules: [{ fault: { abort: { httpStatus: 500 } } }] });
    held.child.kill('SIGINT');
    await held.ended();
    assert.equal(held.code, 1);
    assert.match(held.stderr, /^policy\/one was applied again by somebody else: it stays in force, and this lease does not end it\./m);
    assert.equal((await get('one'))?.status.phase, 'active');
    await stack.server.ask('DELETE', '/v1/policies/one');
  });

  it('holds on while the control plane restarts', async () => {
    const held = hold(['one'], '--lease', '30s');
    await held.applied();
    await server.kill();
    await until(() => held.stderr.includes('can not be renewed'), 'it is told', 20_000);
    server = await Replica.start(stack.processes, stack.etcd.url, { port: stack.server.port });
    await until(() => held.stderr.includes('policy/one is renewed again'), 'it is renewed again', 20_000);
    assert.equal((await get('one'))?.status.phase, 'active');
    held.child.kill('SIGINT');
    await held.ended();
    assert.equal(held.code, 0, held.stderr);
    assert.equal(await get('one'), undefined);
  });

  it('at Ctrl-C without a control plane says that the lease will end it', async () => {
    const held = hold(['one'], '--lease', '5s');
    await held.applied();
    await server.kill();
    held.child.kill('SIGINT');
    await held.ended();
    assert.match(held.stderr, /policy\/one could not be deleted, its lease ends it within 5 s/);
    server = await Replica.start(stack.processes, stack.etcd.url, { port: stack.server.port });
    await until(async () => (await get('one'))?.status.phase === 'ended', 'it has ended', 8000);
  });

  it('shows on a terminal one line that changes', async () => {
    const { stdout } = await stack.onTerminal(
      ['policy', 'apply', '-f', join(stack.processes.folder, 'one.yaml'), '--hold', '--lease', '5s'],
      { typed: { after: 'Ctrl-C ends it', keys: '\u0003' } },
    );
    assert.match(stdout, /\rCtrl-C ends it {2}policy\/one: 0 of 0 proxies run it, lease [45]/);
    assert.match(stdout, /policy\/one deleted/);
    assert.equal(await get('one'), undefined);
  });

  it('does not go with --dry-run, and takes no lease that is none', async () => {
    const dry = await stack.hfi(['policy', 'apply', '-f', 'examples/abort-policy.yaml', '--hold', '--dry-run']);
    assert.equal(dry.code, 2);
    const short = await stack.hfi(['policy', 'apply', '-f', 'examples/abort-policy.yaml', '--hold', '--lease', '1s']);
    assert.equal(short.code, 1);
    assert.match(short.stderr, /spec\.lease: must be between 5s and 1h/);
  });

  describe('what is over', () => {
    before(async () => {
      await stack.server.put('past', { priority: 3, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
      await stack.server.ask('DELETE', '/v1/policies/past', { role: 'editor' });
    });

    it('hfi policy history lists it', async () => {
      const { code, stdout } = await stack.hfi(['policy', 'history', 'past']);
      assert.equal(code, 0);
      const head = /^NAME +APPLIED +ENDED +REASON +INJECTED +BY +WHY\n/;
      assert.match(stdout, head);
      assert.match(stdout.replace(head, ''), /^past +\S+ +\S+ +deleted +(\?|0 INCONCLUSIVE) +the-editor +it was deleted\n$/);
      const json = await stack.hfi(['policy', 'history', '-o', 'json']);
      assert.deepEqual(misfits('policy-history', JSON.parse(json.stdout)), []);
      assert.equal((JSON.parse(json.stdout) as { items: { spec: { priority: number } }[] }).items[0]?.spec.priority, 3);
      assert.match((await stack.hfi(['policy', 'history', 'never'])).stderr, /No run has ended yet/);
    });

    it('hfi policy describe shows the last run', async () => {
      const { code, stdout } = await stack.hfi(['policy', 'describe', 'past']);
      assert.equal(code, 0);
      assert.match(stdout, /^past {2}ended \(deleted\).*\nEnded {6}deleted \S+ by the-editor: it was deleted\n/);
      assert.match(stdout, /^Rule 0/m);
      const json = await stack.hfi(['policy', 'describe', 'past', '-o', 'json']);
      assert.deepEqual(misfits('policy-describe', JSON.parse(json.stdout)), []);
      assert.equal((await stack.hfi(['policy', 'describe', 'never'])).code, 4);
    });

    it('hfi policy wait does not wait for a proxy to run it', async () => {
      await stack.hfi(['policy', 'apply', '-f', '-', '--duration-seconds', '1'], { stdin: policyText('soon-over') });
      await until(async () => (await get('soon-over'))?.status.phase === 'ended', 'it has ended', 5000);
      const { code, stderr } = await stack.hfi(['policy', 'wait', 'soon-over', '--for', 'acknowledged']);
      assert.equal(code, 1);
      assert.match(stderr, /policy\/soon-over has ended: no proxy is to run it any more/);
      const { stdout } = await stack.hfi(['policy', 'describe', 'soon-over']);
      assert.match(stdout, /^Proxies {4}\d+ of \d+ run it no more$/m);
    });

    it('that it hit nothing is said by history, describe and audit, and by no exit code', async () => {
      await until(
        async () => (await stack.hfi(['policy', 'history', 'past'])).stdout.includes('INCONCLUSIVE'),
        'the last counts are there',
        20_000,
      );
      assert.match((await stack.hfi(['policy', 'history', 'past'])).stdout, / deleted +0 INCONCLUSIVE +the-editor /);
      const described = await stack.hfi(['policy', 'describe', 'past']);
      assert.equal(described.code, 0);
      assert.match(described.stdout, /^past {2}ended \(deleted\): INCONCLUSIVE, it hit no request\n/);
      assert.match(described.stdout, /^Injected {3}0 requests so far$/m);
      const { stdout } = await stack.hfi(['audit', 'list', '--policy', 'past']);
      assert.match(stdout, /^\S+ +hfi \(control-plane\) +\S+ +result +past +INCONCLUSIVE, it hit no request$/m);
      for (const [name, args] of Object.entries({
        audit: ['audit', 'list'],
        'policy-history': ['policy', 'history'],
        'policy-describe': ['policy', 'describe', 'past'],
      })) {
        assert.deepEqual(misfits(name, JSON.parse((await stack.hfi([...args, '-o', 'json'])).stdout)), []);
      }
      assert.equal((await stack.hfi(['audit', 'verify'])).code, 0, 'what it says is sealed as it is shown');
    });
  });
});
