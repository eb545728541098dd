import assert from 'node:assert/strict';
import { resultOf } from '../../services/control-plane/counts/shown.ts';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { type EtcdClient, makeClient } from '../../services/control-plane/store/client.ts';
import { EtcdStore } from '../../services/control-plane/store/etcd.ts';
import { EtcdAuditLog } from '../../services/control-plane/store/etcd-audit.ts';
import { EtcdHistory } from '../../services/control-plane/store/history.ts';
import { type StoredPolicy, StoreUnavailable } from '../../services/control-plane/store/store.ts';
import { type Policy, policy } from '../../services/policy/schema.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

function named(name: string, priority: number, seconds = 0): Policy {
  return policy.parse({
    metadata: { name },
    spec: { priority, rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: seconds } }] },
  });
}

describe('store: answers of etcd that get lost', () => {
  let processes: Processes;
  let client: EtcdClient;
  let store: EtcdStore;

  before(async function () {
    this.timeout(30_000);
    processes = await Processes.begin();
    const { url } = await Etcd.start(processes);
    const none = undefined;
    client = makeClient({ endpoints: [url], username: none, password: none, caFile: none, certFile: none, keyFile: none });
    store = new EtcdStore(client, systemRuntime, { keepEndedSeconds: 60 });
  });
  after(async () => {
    store.close();
    await processes.end();
  });

  /** Lets etcd do the next transaction, or not, and loses what it answers. */
  function loseNext(done: boolean): void {
    const txn = client.keys.txn.bind(client.keys);
    client.keys.txn = async (...request) => {
      client.keys.txn = txn;
      if (done) await txn(...request);
      throw new Error('the answer is lost');
    };
  }

  it('applies of one millisecond are dated one after the other, so that their counts are not one', async () => {
    const moment = origin();
    const at = async (base: StoredPolicy | undefined, priority: number): Promise<StoredPolicy> => {
      const put = await store.put(named('at-once', priority), base, moment);
      assert.ok(put.done);
      return put.value;
    };
    const first = await at(undefined, 1);
    const second = await at(first, 2);
    const third = await at(second, 3);
    assert.deepEqual(
      [first, second, third].map(({ appliedAt }) => appliedAt - moment.time),
      [0, 1, 2],
    );
    // Also when it was deleted in between, by which the store forgets it.
    assert.ok((await store.remove(third, moment)).done);
    const fourth = await at(undefined, 4);
    assert.equal(fourth.appliedAt - moment.time, 3);
    // An apply that is dated far ahead is one by a clock that was wrong.
    const ahead = await store.put(named('at-once', 5), { ...fourth, appliedAt: moment.time + 3_600_000 }, moment);
    assert.ok(ahead.done);
    assert.equal(ahead.value.appliedAt, moment.time);
  });

  const origin = () => ({ actor: { name: 'a', role: 'admin' }, address: '', time: Date.now() });

  it('nothing is only read in a transaction: etcd 3.5.1 panics when who asked for one is gone before it is read', async () => {
    const txn = client.keys.txn.bind(client.keys);
    const reading: unknown[] = [];
    client.keys.txn = (...request) => {
      const [{ success = [], failure = [] }] = request;
      if ([...success, ...failure].every((op) => op.request_range != null)) reading.push(request[0]);
      return txn(...request);
    };
    const put = await store.put(named('read', 1), undefined, origin());
    assert.ok(put.done);
    assert.ok((await store.unchanged(put.value)).done);
    await store.get('read');
    await store.list(10, '');
    await store.revision();
    const audit = new EtcdAuditLog(client);
    const { items } = await audit.list({ limit: 10, cursor: '', order: 'newest' });
    await audit.read(items.map(({ id }) => id));
    await audit.unsealed();
    await new EtcdHistory(client, systemRuntime).list({ limit: 10, cursor: '' });
    client.keys.txn = txn;
    assert.deepEqual(reading, []);
  });

  for (const [seconds, done, priority] of [
    [60, true, 2],
    [60, false, 1],
    [0, true, 2],
    [0, false, 1],
  ] as const) {
    it(`a policy is there after a replacement ${seconds === 0 ? 'without' : 'with'} an end that etcd did ${done ? '' : 'not '}do`, async () => {
      const name = `kept-${seconds}-${done}`;
      const first = await store.put(named(name, 1), undefined, origin());
      assert.ok(first.done);
      loseNext(done);
      await assert.rejects(store.put(named(name, 2, seconds), first.value, origin()), StoreUnavailable);
      assert.equal((await store.get(name))?.policy.spec.priority, priority);
    });
  }
});

describe('store: runs and their ends', () => {
  let processes: Processes;
  let client: EtcdClient;
  let store: EtcdStore;

  before(async function () {
    this.timeout(30_000);
    processes = await Processes.begin();
    const { url } = await Etcd.start(processes);
    const none = undefined;
    client = makeClient({ endpoints: [url], username: none, password: none, caFile: none, certFile: none, keyFile: none });
    store = new EtcdStore(client, systemRuntime, { keepEndedSeconds: 60 });
  });
  after(async () => {
    store.close();
    await processes.end();
  });

  const owner = { name: 'a', role: 'admin' };
  const at = (time: number) => ({ actor: owner, address: '', time });
  const expired = (time: number) => ({ at: time, reason: 'expired', why: 'because' }) as const;

  /** A policy that was applied at a time. */
  async function applied(name: string, time: number, seconds = 0, lease?: string): Promise<StoredPolicy> {
    const { metadata, spec } = named(name, 0, seconds);
    const outcome = await store.put({ metadata, spec: { ...spec, ...(lease === undefined ? {} : { lease }) } }, undefined, at(time));
    assert.ok(outcome.done);
    return outcome.value;
  }

  async function runsOf(name: string): Promise<readonly (readonly [string, string, number])[]> {
    const { items } = await new EtcdHistory(client, systemRuntime).list({ limit: 100, cursor: '', policy: name });
    return items.map(({ ended }) => [ended.reason, ended.by.name, ended.at] as const);
  }

  async function audited(name: string): Promise<readonly (readonly [string, string, number])[]> {
    const { items } = await new EtcdAuditLog(client).list({ limit: 100, cursor: '', order: 'oldest', policy: name });
    return items.map(({ action, actor, time }) => [action, actor.name, time] as const);
  }

  it('of replicas that end a run at once, one does', async () => {
    const run = await applied('raced', 1000);
    const outcomes = await Promise.all([1, 2, 3].map(() => store.end(run, expired(2000), at(2000))));
    assert.equal(outcomes.filter(({ done }) => done).length, 1);
    assert.deepEqual(await runsOf('raced'), [['expired', 'a', 2000]]);
    assert.equal((await audited('raced')).length, 2);
    assert.equal((await store.get('raced'))?.ended?.reason, 'expired');
  });

  it('a run whose lease was renewed meanwhile is not ended by who did not know of it', async () => {
    const run = await applied('owned', 1000, 0, '5s');
    const renewed = await store.renew(run, 9000);
    assert.ok(renewed.done);
    const refused = await store.end(run, expired(6000), at(6000));
    assert.deepEqual([refused.done, !refused.done && refused.current?.renewal?.until], [false, 9000]);
    assert.deepEqual(await runsOf('owned'), []);
    assert.ok((await store.end(renewed.value, expired(9000), at(9000))).done);
    const late = await store.renew(renewed.value, 14_000);
    assert.deepEqual([late.done, !late.done && late.current?.ended?.reason], [false, 'expired']);
  });

  it('a run that was over, and nobody wrote it, is written with the change that comes next', async () => {
    for (const [name, change] of [
      ['late-put', (run: StoredPolicy) => store.put(named('late-put', 1), run, at(9000))],
      ['late-delete', (run: StoredPolicy) => store.remove(run, at(9000))],
    ] as const) {
      const run = await applied(name, 1000, 2);
      assert.ok((await change(run)).done);
      assert.deepEqual(await runsOf(name), [['expired', 'hfi', 3000]]);
      const last = name === 'late-put' ? 'replace' : 'delete';
      assert.deepEqual(
        (await audited(name)).toSorted((a, b) => a[2] - b[2]),
        [
          ['create', 'a', 1000],
          ['end', 'hfi', 3000],
          [last, 'a', 9000],
        ],
      );
    }
  });

  it('of replicas that write at once what a run did, one does', async () => {
    const run = await applied('settled', 1000);
    await store.end(run, expired(2000), at(2000));
    const history = new EtcdHistory(client, systemRuntime);
    const [waiting, ...others] = (await history.waiting(2000)).filter(({ policy }) => policy === 'settled');
    assert.deepEqual([waiting?.appliedAt, waiting?.endedAt, others.length], [1000, 2000, 0]);
    assert.ok(waiting);
    assert.deepEqual(
      (await history.waiting(1999)).filter(({ policy }) => policy === 'settled'),
      [],
      'it ended later',
    );
    const result = resultOf(new Map([[0, { injected: 3, dice: 1 }]]));
    await Promise.all([1, 2, 3].map((i) => history.settle(waiting, result, at(7000 + i))));
    const { items } = await history.list({ limit: 10, cursor: '', policy: 'settled' });
    assert.deepEqual(items[0]?.result, result);
    assert.deepEqual(
      (await audited('settled')).map(([action]) => action),
      ['create', 'end', 'result'],
    );
    assert.deepEqual(
      (await history.waiting(2000)).filter(({ policy }) => policy === 'settled'),
      [],
    );
  });

  it('a run that left the history, or of which nobody knows any more what it did, waits no longer, and nothing is audited', async () => {
    const history = new EtcdHistory(client, systemRuntime);
    for (const [name, result] of [
      ['unknown', null],
      ['trimmed', resultOf(new Map())],
    ] as const) {
      await store.end(await applied(name, 1000), expired(2000), at(2000));
      const waiting = (await history.waiting(2000)).find(({ policy }) => policy === name);
      assert.ok(waiting);
      if (name === 'trimmed') await history.trim(undefined, 1);
      await history.settle(waiting, result, at(7000));
      assert.equal((await audited(name)).length, 2);
      assert.equal((await history.waiting(2000)).filter(({ policy }) => policy === name).length, 0);
    }
  });

  it('an ended policy is swept away, and is in the history', async function () {
    this.timeout(20_000);
    const brief = new EtcdStore(client, systemRuntime, { keepEndedSeconds: 1 });
    const run = await applied('swept', 1000);
    assert.ok((await brief.end(run, expired(2000), at(2000))).done);
    await until(async () => (await store.get('swept')) === undefined, 'it is swept away', 15_000);
    assert.deepEqual(await runsOf('swept'), [['expired', 'a', 2000]]);
  });

  it('a policy that was applied in the place of an ended one is not swept away with it', async function () {
    this.timeout(20_000);
    const brief = new EtcdStore(client, systemRuntime, { keepEndedSeconds: 1 });
    const outcome = await brief.end(await applied('kept', 1000), expired(2000), at(2000));
    assert.ok(outcome.done);
    assert.ok((await store.put(named('kept', 5), outcome.value, at(3000))).done);
    const other = await brief.end(await applied('other', 1000), expired(2000), at(2000));
    assert.ok(other.done);
    await until(async () => (await store.get('other')) === undefined, 'the other is swept away', 15_000);
    assert.equal((await store.get('kept'))?.policy.spec.priority, 5);
    assert.equal((await runsOf('kept')).length, 1);
  });
});
