import assert from 'node:assert/strict';
import { until } from '../support/processes.ts';
import { misfits } from './schemas.ts';
import { policyText, Stack } from './stack.ts';

describe('hfi token', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
  });
  after(() => stack.end());

  const create = (...args: string[]) => stack.hfi(['token', 'create', ...args]);
  const known = (token: string) =>
    until(async () => (await stack.hfi(['policy', 'list'], { env: { HFI_TOKEN: token } })).code === 0, 'the token is known', 5000);

  it('create prints the token alone, and beside it what it is for', async () => {
    const { code, stdout, stderr } = await create(
      'ci',
      '--role',
      'editor',
      '--namespace',
      'shop',
      '--namespace',
      'demo',
      '--expires',
      '12h',
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^hfi_ci_[\w-]{43}\n$/);
    assert.match(stderr, /^token\/ci created: editor of demo, shop, until \d{4}-.*Z\. It is shown this once:\n$/);
    const hours = (Date.parse(/until (\S+)\./.exec(stderr)?.[1] ?? '') - Date.now()) / 3_600_000;
    assert.ok(hours > 11.9 && hours <= 12, `${hours} h`);
  });

  it('list shows who, what and until when, and never a token', async () => {
    const token = (await create('shown', '--role', 'viewer')).stdout.trim();
    const { stdout } = await stack.hfi(['token', 'list']);
    assert.match(stdout, /^NAME +ROLE +NAMESPACES +CREATED BY +EXPIRES IN\n/);
    assert.match(stdout, /^shown +viewer +\* +the-admin +(29d 23h|30d)$/m);
    for (const format of ['table', 'json', 'yaml']) {
      assert.ok(!(await stack.hfi(['token', 'list', '-o', format])).stdout.includes(token.slice(-43)), format);
    }
  });

  it('a token is used like any other, and revoke ends it', async () => {
    const token = (await create('used', '--role', 'viewer')).stdout.trim();
    await known(token);
    const refused = await stack.hfi(['policy', 'apply', '-f', '-'], { env: { HFI_TOKEN: token }, stdin: policyText('p') });
    assert.equal(refused.code, 5);
    const revoked = await stack.hfi(['token', 'revoke', 'used', 'never-was', 'ci']);
    assert.equal(revoked.code, 4);
    assert.equal(revoked.stdout, 'token/used revoked\ntoken/ci revoked\n', 'one that is not there keeps no other alive');
    assert.equal(revoked.stderr, 'error: There is no issued token "never-was".\n');
    const ended = await stack.hfi(['policy', 'list'], { env: { HFI_TOKEN: token } });
    assert.equal(ended.code, 5);
    assert.match(ended.stderr, /The token is not known here/);
  });

  it('a token of a namespace that reaches beyond it is told the field and what it may name', async () => {
    const token = (await create('narrow', '--role', 'editor', '--namespace', 'shop')).stdout.trim();
    await known(token);
    const { code, stderr } = await stack.hfi(['policy', 'apply', '-f', '-'], { env: { HFI_TOKEN: token }, stdin: policyText('p') });
    assert.equal(code, 5);
    assert.match(stderr, /The token is for namespace shop; spec\.selector\.namespace is "demo"\./);
    assert.match(stderr, /spec\.selector\.namespace: is "demo"; the token is for namespace shop/);
  });

  it('what is printed as JSON fits its schema', async () => {
    const made = await stack.hfi(['token', 'create', 'json', '--role', 'proxy', '--namespace', 'demo', '-o', 'json']);
    assert.deepEqual(misfits('token-create', JSON.parse(made.stdout)), []);
    const listed = JSON.parse((await stack.hfi(['token', 'list', '-o', 'json'])).stdout);
    assert.deepEqual(misfits('token-list', listed), []);
    assert.ok(listed.items.length > 0);
    assert.deepEqual(misfits('token-revoke', JSON.parse((await stack.hfi(['token', 'revoke', 'json', '-o', 'json'])).stdout)), []);
    const audit = await stack.hfi(['audit', '-o', 'json']);
    assert.deepEqual(misfits('audit', JSON.parse(audit.stdout)), []);
    assert.match((await stack.hfi(['audit'])).stdout, /revoke-token +token\/json$/m);
  });

  for (const [what, args, message] of [
    [
      'a lifetime without a unit',
      ['a', '--role', 'viewer', '--expires', '30'],
      /--expires is "30"; it must be a time from 1m to 366d, such as 90m, 12h or 30d/,
    ],
    ['a lifetime that is too short', ['a', '--role', 'viewer', '--expires', '10s'], /--expires is "10s"; it must be a time from 1m/],
    [
      'a lifetime that is too long',
      ['a', '--role', 'viewer', '--expires', '400d'],
      /--expires is "400d"; it must be a time from 1m to 366d/,
    ],
    ['no role', ['a'], /role/],
    ['no name', ['--role', 'viewer'], /name/],
  ] as const) {
    it(`create refuses ${what}`, async () => {
      const { code, stdout, stderr } = await create(...args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, message);
    });
  }

  it('create refuses what the control plane refuses, by the field', async () => {
    const { code, stderr } = await create('a', '--role', 'viewer', '--namespace', 'No Namespace');
    assert.equal(code, 1);
    assert.match(stderr, /namespaces\[0\]/);
  });

  it('revoke needs a name', async () => assert.equal((await stack.hfi(['token', 'revoke'])).code, 2));
});
