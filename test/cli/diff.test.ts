import assert from 'node:assert/strict';
import { misfits } from './schemas.ts';
import { policyText, Stack } from './stack.ts';

describe('hfi policy diff', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
  });
  beforeEach(() => stack.empty());
  after(() => stack.end());

  const diff = (stdin: string, ...args: string[]) => stack.hfi(['policy', 'diff', '-f', '-', ...args], { stdin });

  it('shows a new policy whole', async () => {
    const { code, stdout, stderr } = await diff(policyText('p'));
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^--- \/dev\/null\n\+\+\+ policy\/p \(applied\)\n@@ -0,0 \+1,\d+ @@\n\+metadata:\n\+ {2}name: p\n/);
    assert.doesNotMatch(stdout, /^-[^-]/m);
    assert.equal((await stack.server.ask('GET', '/v1/policies/p')).status, 404);
  });

  it('shows what differs, with defaults filled in on both sides, and changes nothing', async () => {
    await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('p') });
    const { code, stdout, stderr } = await diff(policyText('p', '{ abort: { httpStatus: 504 }, percentage: 100 }'));
    assert.equal(code, 1, stderr);
    const changed = stdout.split('\n').filter((line) => /^[-+]/.test(line));
    assert.deepEqual(changed, [
      '--- policy/p (in force)',
      '+++ policy/p (applied)',
      '-          httpStatus: 503',
      '+          httpStatus: 504',
    ]);
    const { body } = await stack.server.ask('GET', '/v1/policies/p');
    assert.match(JSON.stringify(body), /"httpStatus":503/);
  });

  it('shows nothing when nothing differs, also where the file is written otherwise', async () => {
    await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('p') });
    const { code, stdout } = await diff(policyText('p', '{ percentage: 100, abort: { httpStatus: 503 } }'));
    assert.deepEqual([code, stdout], [0, '']);
  });

  it('--output json fits its schema', async () => {
    const { stdout } = await diff(`${policyText('p')}---\n${policyText('q')}`, '-o', 'json');
    const value = JSON.parse(stdout) as { items: { name: string; result: string }[] };
    assert.deepEqual(misfits('policy-diff', value), []);
    assert.deepEqual(
      value.items.map(({ name, result }) => [name, result]),
      [
        ['p', 'created'],
        ['q', 'created'],
      ],
    );
  });

  it('refuses what is not valid, with the field', async () => {
    const { code, stdout, stderr } = await diff(policyText('p', '{ abort: { httpStatus: 99 } }'));
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /stdin: not valid:\n {2}spec\.rules\[0\]\.fault\.abort\.httpStatus: /);
  });
});
