import assert from 'node:assert/strict';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, made } from './envoy.ts';

type Match = NonNullable<PolicyInput['spec']['rules'][number]['match']>;

const counted = (match: Match) => made('p', { rules: [{ match, fault: { abort: { httpStatus: 503 } } }] });

/** Which of so many requests are hit, from 1 on, when each goes to the next worker. */
function hits(envoy: Envoy, requests: number, path = '/'): number[] {
  const workers = [...envoy.roots.keys()];
  return Array.from({ length: requests }, (_, i) => i + 1).filter((number) => {
    const vm = workers[number % workers.length] ?? envoy.vm;
    const stream = envoy.request([[':path', path]], vm);
    vm.end(stream);
    return stream.replies.length === 1;
  });
}

describe('filter: turns', () => {
  it('are counted over all workers of a proxy', () => {
    const envoy = new Envoy(3);
    envoy.serve([counted({ every: 4 })]);
    assert.deepEqual(hits(envoy, 12), [4, 8, 12]);
    envoy.serve([counted({ after: 5 })]);
    assert.deepEqual(hits(envoy, 8), [6, 7, 8]);
    envoy.serve([counted({ sequence: ['none', 'fault'] })]);
    assert.deepEqual(hits(envoy, 6), [2, 4, 6]);
    envoy.serve([counted({ limit: 3 })]);
    assert.deepEqual(hits(envoy, 9), [1, 2, 3]);
  });

  it('count those requests alone for which the rest of the match holds', () => {
    const envoy = new Envoy(2);
    envoy.serve([counted({ path: { exact: '/a' }, every: 3 })]);
    assert.deepEqual(hits(envoy, 2, '/a'), []);
    assert.deepEqual(hits(envoy, 10, '/b'), []);
    assert.deepEqual(hits(envoy, 4, '/a'), [1, 4]);
  });

  it('begin anew with each apply of the policy', () => {
    const envoy = new Envoy(2);
    const policy = counted({ limit: 2 });
    envoy.serve([policy], 1000);
    assert.deepEqual(hits(envoy, 5), [1, 2]);
    envoy.serve([policy], 2000);
    assert.deepEqual(hits(envoy, 5), [1, 2]);
  });

  it('go on when other policies change, and in a worker that comes later', () => {
    const envoy = new Envoy(2);
    const policy = counted({ every: 2, limit: 2 });
    envoy.serve([policy], 1000);
    assert.deepEqual(hits(envoy, 3), [2]);
    envoy.serve([made('z', { rules: [{ match: { path: { exact: '/never' } }, fault: { abort: { httpStatus: 500 } } }] }), policy], 1000);
    envoy.addVm();
    assert.deepEqual(hits(envoy, 4), [1]);
  });

  it('are founded with the ruleset, once, so that two workers with their first matches at the same moment lose none', () => {
    const envoy = new Envoy(2);
    const numbers = (): string[] =>
      [...envoy.process.shared].filter(([key]) => key.startsWith('hfi/n/')).map(([, { value }]) => Buffer.from(value).toString('hex'));
    const policy = counted({ every: 2 });
    envoy.serve([policy, made('z', { rules: [{ match: { path: { exact: '/never' } }, fault: { abort: { httpStatus: 500 } } }] })], 1000);
    assert.deepEqual(numbers(), ['0000000000000000']);
    assert.deepEqual(hits(envoy, 3), [2]);
    envoy.serve([policy], 1000);
    assert.deepEqual(
      numbers(),
      ['0300000001000000'].map(() => numbers()[0]),
      'what was counted stays',
    );
    assert.deepEqual(hits(envoy, 1), [1]);
  });

  it('begin anew when the proxy restarts', () => {
    const policy = counted({ limit: 1 });
    const before = new Envoy();
    before.serve([policy], 1000);
    assert.deepEqual(hits(before, 3), [1]);
    const after = new Envoy();
    after.serve([policy], 1000);
    assert.deepEqual(hits(after, 3), [1]);
  });

  it('of two policies are counted apart', () => {
    const envoy = new Envoy();
    const other = made('q', { rules: [{ match: { every: 2 }, fault: { abort: { httpStatus: 500 } } }] });
    envoy.serve([counted({ limit: 1 }), other], 1000);
    assert.deepEqual(hits(envoy, 7), [1, 3, 5, 7]);
  });
});
