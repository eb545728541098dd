import assert from 'node:assert/strict';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { send } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

type Fault = PolicyInput['spec']['rules'][number]['fault'];

/** What shows that a request was faulted, where no answer of HFI's says so. */
describe('mesh: what a fault leaves in the access log and the metrics', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let frontend: Sidecar;

  before(async () => {
    mesh = await Mesh.start(await Processes.begin());
    frontend = await mesh.sidecar('frontend');
  });
  after(() => mesh?.end());

  for (const [what, metric, fault, field] of [
    ['a delay', 'delays', { delay: { fixed_delay: '20ms' } }, 'done'],
    ["a delay of the service's answer", 'delays', { delay: { fixed_delay: '20ms', at: 'response' } }, 'done'],
    ['a changed request', 'request_changes', { request: { headers: { set: { 'x-a': '1' } } } }, 'done'],
    ['a changed answer', 'response_changes', { response: { status: 418 } }, 'done'],
    ['an abort', 'aborts', { abort: { httpStatus: 503 } }, 'done'],
    ['a reset', 'resets', { abort: { reset: true } }, 'done'],
    ["a reset of the service's answer", 'resets', { abort: { reset: true, at: 'response' } }, 'done'],
    ['a shadowed abort', 'shadowed', { abort: { httpStatus: 503 } }, 'shadow'],
  ] as [string, string, Fault, 'done' | 'shadow'][]) {
    it(`${what} is counted, and named in the access log`, async () => {
      const path = `/${what.replaceAll(/[^a-z]/g, '-')}`;
      const before = (await frontend.metric(`faults_${metric}_total`)) ?? 0;
      await mesh.apply('p', { mode: field === 'shadow' ? 'shadow' : 'enforce', rules: [{ match: { path: { exact: path } }, fault }] });
      await send(`${frontend.inbound}${path}`).catch(() => undefined);
      assert.equal(await frontend.metric(`faults_${metric}_total`), before + 1);
      const lines = () => frontend.accessLog().filter((line) => line.path === path);
      await until(() => lines().length > 0, 'the access log has it', 15_000);
      assert.deepEqual(
        lines().map((line) => [line.done ?? null, line.shadow ?? null]),
        [field === 'done' ? ['p/0', null] : [null, 'p/0']],
      );
    });
  }

  it('an answer that is left alone for its status is neither counted nor named', async () => {
    const before = await frontend.metric('faults_response_changes_total');
    await mesh.apply('p', { rules: [{ match: { path: { exact: '/left' } }, fault: { response: { status: 500 }, ifStatus: 404 } }] });
    assert.equal((await send(`${frontend.inbound}/left`)).status, 200);
    assert.equal(await frontend.metric('faults_response_changes_total'), before);
    const lines = () => frontend.accessLog().filter(({ path }) => path === '/left');
    await until(() => lines().length > 0, 'the access log has it', 15_000);
    assert.deepEqual(
      lines().map(({ done }) => done || null),
      [null],
    );
  });
});
