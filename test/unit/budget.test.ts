import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HEADER_BUDGET } from '../../filter/assembly/layout.ts';
import { Budget } from '../../services/control-plane/fleet/budget.ts';
import { Fleet } from '../../services/control-plane/fleet/fleet.ts';
import type { Hello, PollAnswer } from '../../services/control-plane/fleet/proxy.ts';
import type { StoredPolicy } from '../../services/control-plane/store/store.ts';
import { policy } from '../../services/policy/schema.ts';
import { HandDrivenRuntime } from '../support/hand-driven-runtime.ts';

const hello = (name: string, more: Partial<Hello> = {}): Hello => ({
  name,
  namespace: 'demo',
  workload: 'w',
  labels: {},
  acknowledged: '',
  has: '',
  refused: null,
  unreadable: [],
  pollFailures: 0,
  filter: '0.1.0',
  vms: 2,
  leaseMs: 60_000,
  layoutFits: true,
  ...more,
});

function stored(name: string, namespace = 'demo'): StoredPolicy {
  const made = policy.parse({ metadata: { name }, spec: { selector: { namespace }, rules: [{ fault: { abort: { httpStatus: 503 } } }] } });
  return { policy: made, appliedAt: 0, revision: 1 } as StoredPolicy;
}

/** The share that an answer gives its proxy. */
function shareIn(answer: PollAnswer): number {
  if (answer.kind !== 'ruleset') throw new Error(answer.kind);
  const { bytes } = answer.ruleset;
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(HEADER_BUDGET, true);
}

class Bed {
  readonly runtime = new HandDrivenRuntime();
  replicas = 1;
  readonly fleet = new Fleet({
    runtime: this.runtime,
    fresh: () => true,
    halted: () => false,
    measureCompile: () => {},
    woken: () => {},
    budget: new Budget(60, () => this.replicas),
    ended: () => {},
  });

  poll(name: string, more: Partial<Hello> = {}): Promise<PollAnswer> {
    return this.fleet.poll(hello(name, more), 20_000, new AbortController().signal);
  }

  /** What a proxy gets that has nothing yet. */
  async share(name: string, more: Partial<Hello> = {}): Promise<number> {
    return shareIn(await this.poll(name, more));
  }
}

describe('the budget of the fleet', () => {
  it('is divided so that it is never exceeded, and at least eight ninths of it are given', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 20_000 }), (perSecond, proxies) => {
        const budget = new Budget(perSecond, () => 1);
        budget.divide(proxies);
        const given = budget.share * proxies;
        return given <= perSecond * (1 + 1e-9) && given >= (perSecond * 8) / 9;
      }),
    );
  });

  it('changes a share seldom when many proxies come, one after the other', () => {
    const budget = new Budget(100, () => 1);
    let changes = 0;
    for (let proxies = 1; proxies <= 10_000; proxies++) if (budget.divide(proxies)) changes++;
    assert.ok(changes < 100, `${changes} changes`);
  });

  it('is for proxies that have faults alone: the others are not woken when a share changes', async () => {
    const bed = new Bed();
    bed.fleet.change([{ name: 'p', before: undefined, after: stored('p') }]);
    const idle = await bed.poll('idle', { namespace: 'other' });
    assert.equal(shareIn(idle), 0);
    const version = idle.kind === 'ruleset' ? idle.ruleset.version : '';
    let woken = false;
    void bed.poll('idle', { namespace: 'other', has: version }).then(() => {
      woken = true;
    });
    assert.equal(await bed.share('one'), 60);
    assert.equal(await bed.share('two'), 30);
    assert.equal(woken, false);
  });

  it('is divided anew when a proxy comes: who waits is told at once, before the new one has its share', async () => {
    const bed = new Bed();
    bed.fleet.change([{ name: 'p', before: undefined, after: stored('p') }]);
    const first = await bed.poll('one');
    const waiting = bed.poll('one', { has: first.kind === 'ruleset' ? first.ruleset.version : '' });
    assert.equal(await bed.share('two'), 30);
    assert.equal(shareIn(await waiting), 30);
  });

  it('is divided before anybody is told of a fault', async () => {
    const bed = new Bed();
    const empty = await bed.poll('one');
    const has = empty.kind === 'ruleset' ? empty.ruleset.version : '';
    const waiting = ['one', 'two', 'three'].map((name) => bed.poll(name, { has }));
    bed.fleet.change([{ name: 'p', before: undefined, after: stored('p') }]);
    assert.deepEqual((await Promise.all(waiting)).map(shareIn), [20, 20, 20]);
  });

  it('is divided among the replicas, as soon as one more is known', async () => {
    const bed = new Bed();
    bed.fleet.change([{ name: 'p', before: undefined, after: stored('p') }]);
    const first = await bed.poll('one');
    const waiting = bed.poll('one', { has: first.kind === 'ruleset' ? first.ruleset.version : '' });
    bed.replicas = 3;
    bed.fleet.change([]);
    assert.equal(shareIn(await waiting), 20);
  });

  it('of a proxy that is gone goes to the others when it is forgotten, not before its lease is over', async () => {
    const bed = new Bed();
    bed.fleet.change([{ name: 'p', before: undefined, after: stored('p') }]);
    await bed.poll('one', { leaseMs: 90_000 });
    assert.equal(await bed.share('two'), 30);
    bed.runtime.advance(89_000);
    assert.equal(await bed.share('two'), 30);
    bed.runtime.advance(2000);
    assert.equal(await bed.share('two'), 60);
  });
});
