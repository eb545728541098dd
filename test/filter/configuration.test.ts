import assert from 'node:assert/strict';
import { Process } from '../../filter/host/process.ts';
import { ABORT, CONFIGURATION, Envoy, HIT, made } from './envoy.ts';

describe('filter: configuration', () => {
  it('takes a new one in place', () => {
    const envoy = new Envoy();
    envoy.serve([ABORT]);
    envoy.vm.configure({ ...CONFIGURATION, authority: 'other', token: 'quote " and \\ back' }, envoy.root);
    assert.equal(envoy.request().action, HIT);
    envoy.unchanged();
    const call = envoy.poll();
    assert.equal(call.headers[':authority'], 'other');
    assert.equal(call.headers.authorization, 'Bearer quote " and \\ back');
  });

  for (const [what, configuration] of [
    ['nothing', ''],
    ['no object', '[]'],
    ['cut short', '{"cluster":"a'],
    ['no cluster', '{"token":"x"}'],
    ['a wrong direction', '{"cluster":"a","direction":"sideways"}'],
    ['a lease out of range', '{"cluster":"a","leaseMs":10}'],
    ['a lease that is a text', '{"cluster":"a","leaseMs":"60000"}'],
    ['too many delayed requests', '{"cluster":"a","maxDelayedRequests":1000000000}'],
    ['a cluster longer than the room for it', `{"cluster":"${'a'.repeat(5000)}"}`],
    ['a token longer than the room for it', `{"cluster":"a","token":"${'t'.repeat(5000)}"}`],
    ['an authority longer than the room for it', `{"cluster":"a","authority":"${'b'.repeat(5000)}"}`],
    ['deep nesting', `{"cluster":"a","x":${'['.repeat(1000)}${']'.repeat(1000)}}`],
    ['garbage', '\u0000\u0001{{{{]]]"\\'],
  ] as const) {
    it(`refuses ${what}, says so, and keeps the one before`, () => {
      const envoy = new Envoy();
      envoy.serve([ABORT]);
      envoy.vm.configure(configuration, envoy.root);
      assert.equal(envoy.metric('config_invalid'), 1);
      assert.equal(envoy.request().action, HIT);
      envoy.unchanged();
      assert.equal(envoy.poll().headers[':authority'], 'cp');
      envoy.vm.configure({ ...CONFIGURATION, unknown: { a: [1, 'x', null] } }, envoy.root);
      assert.equal(envoy.metric('config_invalid'), 0);
    });
  }

  it('goes on when the root that polled is removed and another is there', () => {
    const envoy = new Envoy();
    const outbound = envoy.vm.configure({ ...CONFIGURATION, direction: 'outbound' });
    envoy.serve([ABORT]);
    const held = made('d', { rules: [{ fault: { delay: { fixed_delay_ms: 50 } } }] });
    envoy.serve([held]);
    const stream = envoy.request();
    const { root } = envoy;
    envoy.roots.set(envoy.vm, outbound);
    envoy.vm.dropRoot(root);
    envoy.process.advance(60);
    assert.equal(stream.continued, 1);
    assert.ok(envoy.vm.timers.has(outbound));
    // The answer to the old root's poll never comes; a new poll was sent.
    const version = envoy.serve(
      [made('o', { direction: 'outbound', rules: [{ fault: { abort: { httpStatus: 503 } } }] })],
      undefined,
      envoy.poll(0),
    );
    assert.equal(envoy.poll(10).headers['x-hfi-acknowledged'], version);
    assert.equal(envoy.request().action, HIT);
  });

  it('shows an identity that can not be read', () => {
    const process = new Process();
    process.properties.clear();
    process.properties.set('node\0id', new TextEncoder().encode('old-style'));
    const envoy = new Envoy(1, {}, process);
    const call = envoy.poll();
    assert.equal(call.headers['x-hfi-proxy'], 'old-style');
    assert.equal(call.headers['x-hfi-unreadable'], 'namespace,workload,labels');
    assert.equal(envoy.metric('identity_unreadable'), 1);
    assert.equal(process.logs.filter((line) => line.includes('can not read')).length, 1);
  });
});
