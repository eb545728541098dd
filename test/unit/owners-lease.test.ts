import assert from 'node:assert/strict';
import { Fleet } from '../../services/control-plane/fleet/fleet.ts';
import type { PollAnswer } from '../../services/control-plane/fleet/proxy.ts';
import type { StoredPolicy } from '../../services/control-plane/store/store.ts';
import { policy } from '../../services/policy/schema.ts';
import { FakeTime } from '../support/fake-time.ts';

const LEASE_MS = 30_000;

/** A replica's fleet with one proxy, in time that stands still. */
class World {
  readonly time = new FakeTime();
  readonly over: number[] = [];
  readonly fleet: Fleet;
  #revision = 1;
  stored: StoredPolicy;
  #has = '';

  constructor(leaseText = '30s') {
    this.fleet = new Fleet({
      runtime: this.time.runtime,
      fresh: () => true,
      halted: () => false,
      measureCompile: () => undefined,
      woken: () => undefined,
      ended: () => this.over.push(this.time.runtime.clock.elapsed()),
    });
    const written = policy.parse({
      metadata: { name: 'held' },
      spec: { lease: leaseText, rules: [{ fault: { abort: { httpStatus: 503 } } }] },
    });
    this.stored = { policy: written, createdAt: this.time.now, appliedAt: this.time.now, revision: this.#revision };
  }

  apply(): void {
    this.fleet.change([{ name: 'held', before: undefined, after: this.stored }]);
  }

  /** A renewal as the replica hears of it. @param by the wall clock of the replica that took it, ahead of ours */
  renew(by = 0): void {
    this.stored = { ...this.stored, renewal: { until: this.time.now + by + LEASE_MS, revision: ++this.#revision } };
    this.fleet.renewed([this.stored]);
  }

  /** Polls; the answer may come later. */
  poll(waitMs: number): Promise<PollAnswer> {
    return this.fleet.poll(
      {
        name: 'proxy',
        namespace: 'demo',
        workload: 'w',
        labels: {},
        acknowledged: this.#has,
        has: this.#has,
        refused: null,
        unreadable: [],
        pollFailures: 0,
        filter: '',
        vms: 1,
        leaseMs: 3_600_000,
        layoutFits: true,
      },
      waitMs,
      new AbortController().signal,
    );
  }

  /** What the proxy is to run now. */
  async faulted(): Promise<boolean> {
    const answer = await this.poll(0);
    if (answer.kind === 'ruleset') this.#has = answer.ruleset.version;
    const [group] = [...this.fleet.proxies].map((proxy) => proxy.group.ruleset.policies);
    return group?.includes('held') === true;
  }
}

describe("the owner's lease, at a replica", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
    world.apply();
  });

  it('ends the rules to the millisecond, wakes who runs them, and is told', async () => {
    assert.equal(await world.faulted(), true);
    let answered: PollAnswer | undefined;
    void world.poll(60_000).then((answer) => {
      answered = answer;
    });
    await world.time.advance(LEASE_MS - 1);
    assert.equal(answered, undefined);
    assert.deepEqual(world.over, []);
    await world.time.advance(1);
    assert.equal((answered as PollAnswer | undefined)?.kind, 'ruleset');
    assert.equal(await world.faulted(), false);
    assert.deepEqual(world.over, [LEASE_MS]);
  });

  it('goes on with every renewal, and wakes nobody', async () => {
    assert.equal(await world.faulted(), true);
    for (let i = 0; i < 100; i++) {
      const answer = world.poll(10_000);
      await world.time.advance(10_000);
      assert.equal((await answer).kind, 'nothing-new');
      world.renew();
    }
    assert.equal(await world.faulted(), true);
    await world.time.advance(LEASE_MS - 1);
    assert.equal(await world.faulted(), true);
    await world.time.advance(1);
    assert.equal(await world.faulted(), false);
    assert.equal(world.over.length, 1);
  });

  for (const [what, jump] of [
    ['back', -3_600_000],
    ['ahead', 3_600_000],
  ] as const) {
    it(`ends in time when the wall clock jumps an hour ${what}`, async () => {
      await world.time.advance(10_000);
      world.renew();
      await world.time.advance(10_000);
      world.time.jump(jump);
      await world.time.advance(LEASE_MS - 10_001);
      assert.equal(await world.faulted(), true);
      await world.time.advance(1);
      assert.equal(await world.faulted(), false);
    });
  }

  it('is not longer than its length when the one who renewed it has a clock that is ahead', async () => {
    world.renew(3_600_000);
    await world.time.advance(LEASE_MS);
    assert.equal(await world.faulted(), false);
  });

  it('is over at once when the one who renewed it has a clock that is behind', async () => {
    world.renew(-3_600_000);
    assert.equal(await world.faulted(), false);
    assert.equal(world.over.length, 1);
  });

  it('after a restart runs for what is left of it by the wall clock', async () => {
    await world.time.advance(20_000);
    const { stored } = world;
    const restarted = new World();
    restarted.stored = { ...stored, appliedAt: restarted.time.now - 20_000 };
    restarted.apply();
    await restarted.time.advance(9999);
    assert.equal(await restarted.faulted(), true);
    await restarted.time.advance(1);
    assert.equal(await restarted.faulted(), false);
  });

  it('after a restart that came too late nothing is served for a moment', async () => {
    const restarted = new World();
    restarted.stored = { ...restarted.stored, appliedAt: restarted.time.now - LEASE_MS };
    restarted.apply();
    assert.equal(await restarted.faulted(), false);
    assert.equal(restarted.over.length, 1);
  });

  it('comes back when another replica took a renewal in time that is heard of late', async () => {
    await world.time.advance(LEASE_MS + 50);
    assert.equal(await world.faulted(), false);
    world.renew();
    assert.equal(await world.faulted(), true);
    await world.time.advance(LEASE_MS);
    assert.equal(await world.faulted(), false);
  });

  it('is over with the policy: an end that is written, or a delete, leaves nothing to wait for', async () => {
    const ended = { at: world.time.now, reason: 'stopped', why: '', by: { name: 'hfi', role: 'control-plane' } } as const;
    world.fleet.change([{ name: 'held', before: world.stored, after: { ...world.stored, ended, revision: 99 } }]);
    assert.equal(await world.faulted(), false);
    world.fleet.change([{ name: 'held', before: world.stored, after: undefined }]);
    await world.time.advance(LEASE_MS * 2);
    assert.deepEqual(world.over, []);
  });

  it('longer than a timer goes, it is waited for all the same', async () => {
    const long = new World('1h');
    long.apply();
    await long.time.advance(3_599_999);
    assert.equal(await long.faulted(), true);
    await long.time.advance(1);
    assert.equal(await long.faulted(), false);
  });
});
