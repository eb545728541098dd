import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { type EtcdClient, makeClient } from '../../services/control-plane/store/client.ts';
import { EtcdStore } from '../../services/control-plane/store/etcd.ts';
import { type StoredPolicy, StoreUnavailable } from '../../services/control-plane/store/store.ts';
import { type Policy, policy } from '../../services/policy/schema.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';

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
    // An apply that is dated far ahead is one by a clock that was wrong.
    const ahead = await store.put(named('at-once', 4), { ...third, appliedAt: moment.time + 3_600_000 }, moment);
    assert.ok(ahead.done);
    assert.equal(ahead.value.appliedAt, moment.time);
  });

  const origin = () => ({ actor: { name: 'a', role: 'admin' }, address: '', time: Date.now() });

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
      // Time for a lease to be given back, which takes its keys along.
      await sleep(300);
      assert.equal((await store.get(name))?.policy.spec.priority, priority);
    });
  }
});
