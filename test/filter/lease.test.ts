import assert from 'node:assert/strict';
import { ABORT, Envoy, HIT, made, PASSED } from './envoy.ts';

const named = (name: string, httpStatus: number, path = '/.*') =>
  made(name, { rules: [{ match: { path: { regex: path } }, fault: { abort: { httpStatus } } }] });

describe('filter: lease', () => {
  it('stops faulting when it ends, not before, and goes on with the next answer', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    const call = envoy.poll();
    assert.equal(call.headers.prefer, 'wait=2');
    envoy.serve([ABORT], undefined, call);
    const began = envoy.process.nowNs;
    const left = () => 6000 - Number(envoy.process.nowNs - began) / 1e6;
    envoy.process.advance(left() - 1);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    envoy.process.advance(2);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, PASSED);
    envoy.process.advance(1000);
    assert.equal(envoy.process.logs.filter((line) => line.includes('lease ended')).length, 1);
    assert.equal(envoy.metric('lease_remaining_seconds'), 0);
    envoy.unchanged(envoy.poll());
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
  });

  it('that a newer ruleset was given is none for a worker that was stuck and runs the older one: it does nothing until it takes the newer', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    const call = envoy.poll();
    envoy.serve([named('before', 503)], undefined, call);
    envoy.process.advance(100);
    const [stuck] = [...envoy.roots.keys()].filter((vm) => vm !== call.vm);
    assert.ok(stuck);
    stuck.dead = true;
    envoy.serve([named('another', 418, '/elsewhere'), named('after', 500)], undefined, envoy.poll());
    // The lease that the stuck one knows of has run out; the one that was shared meanwhile has not.
    envoy.process.advance(3000);
    envoy.unchanged(envoy.poll());
    envoy.process.advance(4000);
    stuck.dead = false;
    const reply = () => envoy.request([], stuck).replies.map(({ status, headers }) => [status, new Map(headers).get('x-hfi-fault')]);
    assert.deepEqual(reply(), []);
    envoy.process.advance(100);
    assert.deepEqual(reply(), [[500, 'after/0']]);
  });

  it('is looked up by a worker that was stuck, and holds when it was renewed for the ruleset that it runs', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    const call = envoy.poll();
    envoy.serve([named('only', 503)], undefined, call);
    envoy.process.advance(100);
    const [stuck] = [...envoy.roots.keys()].filter((vm) => vm !== call.vm);
    assert.ok(stuck);
    stuck.dead = true;
    envoy.process.advance(3000);
    envoy.unchanged(envoy.poll());
    envoy.process.advance(4000);
    stuck.dead = false;
    assert.deepEqual(
      envoy.request([], stuck).replies.map(({ status }) => status),
      [503],
    );
  });

  it('is renewed by every answer', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    envoy.serve([ABORT]);
    for (let i = 0; i < 10; i++) {
      envoy.process.advance(3000);
      envoy.unchanged();
      for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    }
  });

  it('is not renewed by an error, nor by an answer without the time', () => {
    const envoy = new Envoy(1, { leaseMs: 6000 });
    envoy.serve([ABORT]);
    for (let i = 0; i < 3; i++) {
      envoy.process.advance(2500);
      const call = envoy.poll();
      call.vm.answer(
        call,
        i === 1
          ? [[':status', '304']]
          : [
              [':status', '500'],
              ['x-hfi-time', '1'],
            ],
      );
    }
    assert.equal(envoy.request().action, PASSED);
    assert.equal(envoy.process.logs.filter((line) => line.includes('answered without x-hfi-time')).length, 1);
    assert.equal(envoy.process.logs.filter((line) => line.includes('answered with status 500')).length, 2);
  });
});

describe('filter: after an outage', () => {
  it('asks for an answer at once, so that the lease is renewed and faults go on with it', () => {
    const envoy = new Envoy(2, { leaseMs: 6000 });
    envoy.serve([ABORT]);
    for (let i = 0; i < 4; i++) {
      const call = envoy.poll(6000);
      call.vm.answer(call, [[':status', '503']]);
      envoy.process.advance(2000);
    }
    assert.equal(envoy.request().action, PASSED);
    const call = envoy.poll(6000);
    assert.equal(call.headers.prefer, 'wait=0');
    envoy.unchanged(call);
    assert.equal(envoy.request().action, HIT);
    assert.equal(envoy.poll().headers.prefer, 'wait=2');
  });
});
