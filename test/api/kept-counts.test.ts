import assert from 'node:assert/strict';
import { Counts } from '../../services/control-plane/counts/counts.ts';
import { Keeper } from '../../services/control-plane/counts/keeper.ts';
import { partsOf, shownRun } from '../../services/control-plane/counts/shown.ts';
import { SILENT_MS, Silent } from '../../services/control-plane/counts/silent.ts';
import { runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { type EtcdClient, makeClient } from '../../services/control-plane/store/client.ts';
import { CountsFollower } from '../../services/control-plane/store/counts-follower.ts';
import { CountsStore } from '../../services/control-plane/store/counts-store.ts';
import type { StoredPolicy } from '../../services/control-plane/store/store.ts';
import { policy } from '../../services/policy/schema.ts';
import { Etcd } from '../support/etcd.ts';
import { HandDrivenRuntime } from '../support/hand-driven-runtime.ts';
import { Processes, until } from '../support/processes.ts';

const EPOCH = '00000000000000aa';

/** A replica's counts on a real etcd, with a clock of their own. */
class Side {
  readonly runtime = new HandDrivenRuntime();
  readonly store: CountsStore;
  readonly counts: Counts;
  readonly silent: Silent;
  readonly #keeper: Keeper;
  #follower: CountsFollower;
  readonly #stored: StoredPolicy;

  constructor(client: () => EtcdClient, stored: StoredPolicy, name: string) {
    this.#stored = stored;
    this.store = new CountsStore(client());
    this.counts = new Counts(this.runtime, {
      grew: (run, proxy) => this.#keeper.grew(run, proxy),
      spent: () => {},
      stopped: () => {},
      ignored: (reason) => assert.fail(reason),
      fresh: () => true,
      over: () => {},
    });
    this.#keeper = new Keeper({ counts: this.counts, store: this.store, runtime: systemRuntime, name, counted: () => {}, note: () => {} });
    this.silent = new Silent(this.counts, this.store, this.runtime);
    this.#follower = this.#followerOn(client);
    this.counts.change([{ name: 'p', before: undefined, after: stored }]);
    this.#follower.start();
  }

  #followerOn(client: () => EtcdClient): CountsFollower {
    return new CountsFollower(client, systemRuntime, {
      kept: (kept) => this.counts.take(kept),
      removed: (key) => this.counts.drop(key),
      listed: (listed) => this.counts.listed(listed),
      note: () => {},
    });
  }

  report(proxy: string, injected: number, epoch = EPOCH): void {
    const key = runKey('p', this.#stored.appliedAt);
    this.counts.report({
      proxy,
      identity: { namespace: 'demo', workload: 'w', labels: {} },
      epoch,
      rules: [{ key, tally: { injected } }],
    });
  }

  /** Total, and the proxies that are told apart. */
  get shown(): [number, string[]] {
    const run = this.counts.current('p');
    if (run === undefined) throw new Error('no run');
    const { total, proxies } = shownRun(this.#stored, partsOf(run, this.runtime.clock.elapsed()), this.runtime.clock.now());
    return [total.injected, proxies.map(({ name }) => name)];
  }

  async kept(): Promise<void> {
    await until(() => this.#keeper.behind === 0, 'all is kept');
  }

  /** Hears nothing of etcd any more, until it follows again. */
  cutOff(): void {
    this.#follower.stop();
  }

  follow(client: () => EtcdClient): void {
    this.#follower = this.#followerOn(client);
    this.#follower.start();
  }

  stop(): void {
    this.#follower.stop();
    this.#keeper.stop();
    this.counts.stop();
    this.store.close();
  }
}

describe('API: counts in etcd', function () {
  this.timeout(60_000);
  let processes: Processes;
  let sides: Side[] = [];
  let client: () => EtcdClient;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    client = () =>
      makeClient({
        endpoints: [etcd.url],
        username: undefined,
        password: undefined,
        caFile: undefined,
        certFile: undefined,
        keyFile: undefined,
      });
    const stored = {
      policy: policy.parse({ metadata: { name: 'p' }, spec: { rules: [{ fault: { abort: { httpStatus: 503 } } }] } }),
      createdAt: Date.UTC(2026, 0, 1),
      appliedAt: Date.UTC(2026, 0, 1),
      revision: 1,
    };
    sides = ['one', 'two'].map((name) => new Side(client, stored, name));
    await until(() => sides.every(({ counts }) => counts.loaded), 'both have read');
  });
  after(async () => {
    for (const side of sides) side.stop();
    await processes.end();
  });

  it('of proxies that are gone become one sum, on every replica, and nothing is lost or counted twice', async () => {
    const [one, two] = sides;
    assert.ok(one && two);
    for (let i = 0; i < 20; i++) (i % 2 === 0 ? one : two).report(`old-${i}`, 10);
    await Promise.all([one.kept(), two.kept()]);
    await until(() => one.shown[0] === 200 && two.shown[0] === 200, 'both know all');
    assert.equal(await one.silent.fold(), 0, 'not as long as they may come back');
    for (const side of sides) side.runtime.advance(SILENT_MS + 1);
    for (let i = 0; i < 3; i++) one.report(`new-${i}`, 1);
    await one.kept();
    await until(() => two.shown[0] === 203, 'both know all');

    // Both at once, as replicas do.
    const folded = await Promise.all([one.silent.fold(), two.silent.fold()]);
    assert.ok(folded[0] !== undefined && folded[0] + (folded[1] ?? 0) >= 1);
    for (let i = 0; i < 20 && one.shown[1].length > 3; i++) await Promise.all([one.silent.fold(), two.silent.fold()]);
    const names = ['new-0', 'new-1', 'new-2'];
    await until(() => two.shown[1].length === 3, 'the other knows it');
    assert.deepEqual(
      [one.shown, two.shown],
      [
        [203, names],
        [203, names],
      ],
    );

    two.report('new-0', 5);
    await two.kept();
    await until(() => one.shown[0] === 207, 'both know all');
    assert.deepEqual(
      [one.shown, two.shown],
      [
        [207, names],
        [207, names],
      ],
    );
  });

  it('of proxies that are gone become one sum, too, where nothing was heard of it', async () => {
    const [one, two] = sides;
    assert.ok(one && two);
    two.cutOff();
    for (const side of sides) side.runtime.advance(SILENT_MS + 1);
    assert.equal(await one.silent.fold(), 3);
    assert.deepEqual([one.shown, two.shown[1].length], [[207, []], 3]);
    two.follow(client);
    await until(() => two.shown[1].length === 0, 'it has read them again');
    assert.equal(two.shown[0], 207);
  });

  it('that replicas write for the same proxy, without hearing of each other, are all there', async () => {
    const [one, two] = sides;
    assert.ok(one && two);
    const [before] = one.shown;
    for (const side of sides) side.cutOff();
    for (let i = 1; i <= 5; i++) {
      one.report('shared', i);
      two.report('shared', i, '00000000000000bb');
      await Promise.all([one.kept(), two.kept()]);
    }
    for (const side of sides) side.follow(client);
    await until(
      () => one.shown[0] === before + 10 && two.shown[0] === before + 10,
      () => `${one.shown[0]} and ${two.shown[0]} of ${before + 10}`,
    );
  });
});
