import assert from 'node:assert/strict';
import { Process } from '../../filter/host/process.ts';
import type { Vm } from '../../filter/host/vm.ts';
import { ABORT, Envoy, HIT } from './envoy.ts';

describe('filter: election', () => {
  const pollers = (envoy: Envoy): Set<Vm> => new Set(envoy.process.calls.map((call) => call.vm));

  it('one VM polls, however the VMs start', () => {
    for (let seed = 0; seed < 200; seed++) {
      const process = new Process();
      for (let i = 0; i < seed; i++) process.entropy();
      const envoy = new Envoy(0, {}, process);
      for (let i = 0; i < 3; i++) {
        envoy.addVm();
        process.advance((seed * (i + 1)) % 4);
      }
      process.advance(100);
      // Whoever polled first by mistake finds out at its next look; from then on there is one.
      process.calls.length = 0;
      for (let i = 0; i < 5; i++) {
        process.advance(1000);
        for (const call of [...process.calls]) envoy.unchanged(call);
      }
      assert.ok(pollers(envoy).size <= 1, `seed ${seed}: ${pollers(envoy).size} pollers`);
    }
  });

  it('another VM takes over when the leader is gone, and the faults go on', () => {
    const envoy = new Envoy(3);
    envoy.serve([ABORT]);
    const leader = envoy.poll().vm;
    leader.kill();
    envoy.roots.delete(leader);
    const call = envoy.poll(5000);
    assert.notEqual(call.vm, leader);
    envoy.unchanged(call);
    for (const [vm, root] of envoy.roots) assert.equal(envoy.request([], vm, root).action, HIT);
    envoy.process.advance(12_000);
    envoy.serve([]);
    envoy.process.advance(2);
    const version = envoy.poll().headers['x-hfi-acknowledged'];
    assert.ok(version, 'the dead VM does not keep the others from acknowledging');
  });

  it('a VM that comes later faults from its first request on', () => {
    const envoy = new Envoy();
    envoy.serve([ABORT]);
    const late = envoy.addVm();
    assert.equal(envoy.request([], late).action, HIT);
  });

  it('a VM that is only tried and thrown away does not count', () => {
    const envoy = new Envoy();
    const canary = envoy.addVm();
    canary.kill();
    envoy.roots.delete(canary);
    envoy.serve([ABORT]);
    assert.ok(envoy.poll(1).headers['x-hfi-acknowledged']);
  });
});
