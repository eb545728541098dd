import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { policyText, Stack } from './stack.ts';

describe('hfi backup', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
  });
  after(() => stack.end());

  const specs = async (): Promise<object[]> => {
    const { body } = await stack.server.ask('GET', '/v1/policies?limit=500');
    return (body.items as { metadata: { name: string }; spec: object }[]).map(({ metadata, spec }) => ({ name: metadata.name, spec }));
  };

  it('writes what hfi policy apply takes back, all of it', async () => {
    for (let i = 0; i < 120; i++) await stack.server.put(`p-${i}`, { priority: i, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    await stack.hfi(['policy', 'apply', '-f', '-'], {
      stdin: policyText('text', '{ abort: { httpStatus: 500, body: "a: b\\n---\\n- c" } }'),
    });
    const before = await specs();
    const file = stack.file('policies.yaml', '');
    const written = await stack.hfi(['backup', '-f', file]);
    assert.equal(written.code, 0, written.stderr);
    assert.match(written.stderr, /121 policies written/);
    assert.equal(statSync(file).mode & 0o077, 0);
    for (let rounds = 0; rounds < 2; rounds++) await stack.empty();
    assert.deepEqual(await specs(), []);
    const restored = await stack.hfi(['policy', 'apply', '-f', file, '--timeout', '50s']);
    assert.equal(restored.code, 0, restored.stderr);
    assert.deepEqual(await specs(), before);
  });

  it('leaves out what has ended', async () => {
    await stack.empty();
    await stack.empty();
    await stack.server.put('short', { rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: 1 } }] });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const { stdout, stderr } = await stack.hfi(['backup']);
    assert.equal(stdout, '');
    assert.match(stderr, /0 policies written, 1 that ended left out/);
  });

  it('says when the file can not be written', async () => {
    const { code, stderr } = await stack.hfi(['backup', '-f', '/nowhere/p.yaml']);
    assert.equal(code, 2);
    assert.match(stderr, /nowhere\/p\.yaml can not be written \(ENOENT\)/);
  });
});
