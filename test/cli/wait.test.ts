import assert from 'node:assert/strict';
import { keyText, ruleKey, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import { misfits } from './schemas.ts';
import { policyText, Stack } from './stack.ts';

describe('hfi policy wait', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
  });
  beforeEach(() => stack.empty());
  after(() => stack.end());

  const wait = (...args: string[]) => stack.hfi(['policy', 'wait', ...args]);

  async function apply(text: string): Promise<number> {
    const { code, stderr, stdout } = await stack.hfi(['policy', 'apply', '-f', '-', '-o', 'json'], { stdin: text });
    assert.equal(code, 0, stderr);
    const { items } = JSON.parse(stdout) as { items: { policy: { metadata: { appliedAt: string } } }[] };
    return Date.parse(items[0]?.policy.metadata.appliedAt ?? '');
  }

  /** A proxy says how many requests the first rule of `p` has hit. */
  async function hit(appliedAt: number, injected: number): Promise<void> {
    const { status, text } = await stack.server.ask('POST', '/v1/reports', {
      role: 'proxy',
      body: { rules: [{ key: keyText(ruleKey(runKey('p', appliedAt), 0)), injected, abort: injected }] },
      headers: {
        'x-hfi-proxy': 'sidecar-a',
        'x-hfi-namespace': 'demo',
        'x-hfi-workload': 'frontend-v1',
        'x-hfi-labels': 'app=frontend',
        'x-hfi-epoch': '00000000000000aa',
      },
    });
    assert.equal(status, 204, text);
  }

  it('until every proxy runs it', async () => {
    await apply(policyText('p'));
    const first = await stack.server.poll({ name: 'sidecar-a' });
    const early = await wait('p', '--timeout', '500ms');
    assert.equal(early.code, 1);
    assert.match(early.stderr, /policy\/p is acknowledged by 0 of 1 proxy; still waiting for sidecar-a/);
    const waiting = wait('p');
    await stack.server.poll({ name: 'sidecar-a', has: first.headers.get('etag') ?? '' });
    const { code, stdout, stderr } = await waiting;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^policy\/p acknowledged by 1 of 1 proxy in \d+ ms\n$/);
  });

  it('until it hit so many requests', async () => {
    const appliedAt = await apply(policyText('p'));
    await hit(appliedAt, 9);
    const early = await wait('p', '--for', 'injected=10', '--timeout', '500ms');
    assert.equal(early.code, 1);
    assert.match(early.stderr, /policy\/p hit 9 of 10 requests after 500ms/);
    const waiting = wait('p', '--for', 'injected=10', '-o', 'json');
    await hit(appliedAt, 12);
    const { code, stdout, stderr } = await waiting;
    assert.equal(code, 0, stderr);
    assert.deepEqual(misfits('policy-wait', JSON.parse(stdout)), []);
    assert.deepEqual(JSON.parse(stdout), { name: 'p', for: 'injected=10', reached: true, message: 'hit 12 requests' });
  });

  it('no longer than it can still hit one', async () => {
    const appliedAt = await apply(policyText('p', '{ abort: { httpStatus: 503 }, duration_seconds: 1 }'));
    await hit(appliedAt, 3);
    const { code, stderr } = await wait('p', '--for', 'injected=10', '--timeout', '30s');
    assert.equal(code, 1);
    assert.match(stderr, /policy\/p has ended; it hit 3 of 10 requests/);
  });

  it('until it has ended, by its time or by being deleted', async () => {
    await apply(policyText('p', '{ abort: { httpStatus: 503 }, duration_seconds: 2 }'));
    const early = await wait('p', '--for', 'ended', '--timeout', '300ms');
    assert.equal(early.code, 1);
    assert.match(early.stderr, /policy\/p is still active after 300ms/);
    const ended = await wait('p', '--for', 'ended');
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /^policy\/p ended /);
    await apply(policyText('p'));
    const waiting = wait('p', '--for', 'ended');
    setTimeout(() => void stack.server.ask('DELETE', '/v1/policies/p'), 1500);
    const { code, stdout, stderr } = await waiting;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^policy\/p (was deleted|ended.*)\n$/);
    const gone = await wait('p', '--for', 'ended');
    assert.deepEqual([gone.code, gone.stdout], [0, 'policy/p was deleted\n'], 'one that begins to wait later is told the same');
  });

  it('for nothing that is not there', async () => {
    const { code, stderr } = await wait('nobody', '--for', 'ended');
    assert.equal(code, 4);
    assert.match(stderr, /nobody/);
  });

  for (const goal of ['acked', 'injected', 'injected=0', 'injected=many', 'injected=-1', '']) {
    it(`for nothing that is not one: "${goal}"`, async () => {
      const { code, stderr } = await wait('p', '--for', goal);
      assert.equal(code, 2);
      assert.match(stderr, /--for is ".*"; it must be acknowledged, ended, or injected=N/);
    });
  }
});
