import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownCopy } from './own-copy.ts';
import { type TestStack, theStack } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

const RATE = 200;

describe('cluster: changes by pulumi up, at 200 requests a second', function () {
  this.timeout(240_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
    await stack.apply('standing', { selector: { namespace: SHOP, service: 'callee' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
  });
  after(() => stack.deletePolicy('standing'));

  /** Nothing happens to callee but its fault, and nothing to the bystander. */
  async function unnoticed(work: () => Promise<unknown>): Promise<void> {
    const faulted = await stack.during('callee', RATE, async () => void (await work()));
    assert.deepEqual(Object.keys(faulted), ['503 standing/0'], JSON.stringify(faulted));
  }

  async function allConnected(): Promise<{ name: string; filter: string }[]> {
    for (let tries = 0; ; tries++) {
      const { items } = await stack.data<{ items: { name: string; connected: boolean; current: boolean; filter: string }[] }>([
        'proxy',
        'list',
      ]);
      const there = items.filter(({ connected }) => connected);
      if (there.length >= 7 && there.every(({ current }) => current)) return there;
      assert.ok(tries < 40, JSON.stringify(items));
    }
  }

  it('the control plane is rolled: no request error, no fault missed', async () => {
    await stack.set('controlPlane.logLevel', 'debug');
    await unnoticed(() => stack.up());
    await allConnected();
  });

  it('the tokens are rotated: no request error, no fault missed, and old tokens go on until the next rotation', async () => {
    const before = (await stack.outputs()).apiToken;
    await stack.set('rotation', 'second');
    await unnoticed(() => stack.up());
    assert.notEqual((await stack.outputs()).apiToken, before);
    assert.equal((await stack.hfi(['status'])).code, 0, 'with the old token');
    await stack.hfi(['context', 'add', '--stack', 'cluster-test']);
    assert.equal((await stack.hfi(['status'])).code, 0, 'with the new token');
    await allConnected();
  });

  it('the filter is upgraded in place within 10 s: no request error', async () => {
    const folder = ownCopy();
    const source = join(folder, 'filter', 'assembly', 'poll.ts');
    writeFileSync(source, readFileSync(source, 'utf8').replace("FILTER_VERSION: string = '0.1.0'", "FILTER_VERSION: string = '0.1.1'"));
    let ms = Number.NaN;
    await unnoticed(async () => {
      await stack.up(folder);
      const begun = performance.now();
      while (!(await allConnected()).every(({ filter }) => filter === '0.1.1')) assert.ok(performance.now() - begun < 10_000);
      ms = performance.now() - begun;
    });
    process.stdout.write(`      all proxies ran it ${(ms / 1000).toFixed(1)} s after pulumi up had returned\n`);
  });

  it('drift is found by refresh, and mended by up', async () => {
    await stack.scale('Deployment', 'boifi', 'wasm-server', 1);
    const { code, output } = await stack.pulumi(['preview', '--refresh', '--diff', '--expect-no-changes']);
    assert.notEqual(code, 0);
    assert.match(output, /wasm-server/);
    await stack.must(['up', '--yes', '--skip-preview', '--refresh']);
    await stack.readyPods('boifi', 'app.kubernetes.io/name=wasm-server', 2);
  });
});
