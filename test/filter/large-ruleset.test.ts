import assert from 'node:assert/strict';
import type { Vm } from '../../filter/host/vm.ts';
import { ABORT, Envoy, made, PASSED } from './envoy.ts';

const PATHS = 4000;
const LARGE = made('large', {
  rules: Array.from({ length: PATHS }, (_, i) => ({ match: { path: { exact: `/items/${i}` } }, fault: { abort: { httpStatus: 418 } } })),
});
const NEWER = made('newer', { rules: [{ fault: { abort: { httpStatus: 429 } } }] });
const last: readonly (readonly [string, string])[] = [[':path', `/items/${PATHS - 1}`]];

describe('filter: a large ruleset', () => {
  /** Several VMs that run a small ruleset, on a machine on which each look at the clock takes a third of a slice. */
  function running(vms: number): Envoy {
    const envoy = new Envoy(vms);
    envoy.serve([ABORT]);
    envoy.process.advance(300);
    envoy.process.lookNs = 300_000n;
    return envoy;
  }

  /** What a request for the last of the paths is answered with by the filter. */
  function statusOf(envoy: Envoy, vm: Vm = envoy.vm, root?: number): number | undefined {
    return envoy.request(last, vm, root).replies[0]?.status;
  }

  it('is taken a piece at a time, and the one before is in force until all of it is checked', () => {
    const envoy = running(1);
    const before = envoy.process.nowNs;
    envoy.serve([LARGE]);
    assert.equal(envoy.metric('rulesets_accepted_total'), 1);
    assert.equal(statusOf(envoy), 503);
    envoy.process.advance(100);
    assert.equal(envoy.metric('rulesets_accepted_total'), 2);
    assert.equal(statusOf(envoy), 418);
    assert.equal(envoy.request().action, PASSED);
    assert.ok(envoy.process.nowNs > before);
  });

  it('reaches every worker, and is acknowledged only then', () => {
    const envoy = running(3);
    const version = envoy.serve([LARGE]);
    const acknowledging = envoy.poll();
    assert.equal(acknowledging.headers['x-hfi-acknowledged'], version);
    for (const [vm, root] of envoy.roots) assert.equal(statusOf(envoy, vm, root), 418);
  });

  it('gives way to a newer one that comes meanwhile, and is never in force', () => {
    const envoy = running(2);
    const call = envoy.poll();
    envoy.serve([LARGE], undefined, call);
    const [other] = [...envoy.roots.keys()].filter((vm) => vm !== call.vm);
    assert.ok(other);
    while (statusOf(envoy, call.vm, envoy.roots.get(call.vm)) !== 418) envoy.process.advance(1);
    // The other worker has begun with the large one, and is stuck when the next is there.
    envoy.process.advance(2);
    other.dead = true;
    envoy.serve([NEWER]);
    other.dead = false;
    const seen = new Set<number | undefined>();
    for (let ms = 0; ms < 200; ms++) {
      seen.add(statusOf(envoy, other, envoy.roots.get(other)));
      envoy.process.advance(1);
    }
    assert.deepEqual([...seen], [503, 429]);
    assert.equal(statusOf(envoy, call.vm, envoy.roots.get(call.vm)), 429);
  });
});
