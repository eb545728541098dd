import assert from 'node:assert/strict';
import { makeSeal } from '../../services/audit/seal.ts';
import { Verifier } from '../../services/audit/verifier.ts';
import { AuditRetention } from '../../services/control-plane/audit/retention.ts';
import { Sealer } from '../../services/control-plane/audit/sealer.ts';
import { type Runtime, systemRuntime } from '../../services/control-plane/runtime.ts';
import { shown } from '../../services/control-plane/store/audit-writer.ts';
import { type EtcdClient, makeClient } from '../../services/control-plane/store/client.ts';
import { EtcdStore } from '../../services/control-plane/store/etcd.ts';
import { EtcdAuditLog } from '../../services/control-plane/store/etcd-audit.ts';
import { policy } from '../../services/policy/schema.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const DAY_MS = 86_400_000;

describe('store: the chain of the audit, and how long it is kept', function () {
  this.timeout(30_000);
  let processes: Processes;
  let client: EtcdClient;
  let log: EtcdAuditLog;
  /** Milliseconds since the epoch, as the store's users see it. */
  let now = Date.parse('2026-01-01T00:00:00Z');
  const runtime: Runtime = { ...systemRuntime, clock: { now: () => now, elapsed: () => performance.now() } };

  beforeEach(async () => {
    processes = await Processes.begin();
    const { url } = await Etcd.start(processes);
    const none = undefined;
    client = makeClient({ endpoints: [url], username: none, password: none, caFile: none, certFile: none, keyFile: none });
    log = new EtcdAuditLog(client);
  });
  afterEach(async () => {
    client.close();
    await processes.end();
  });

  let written = 0;
  const one = () => policy.parse({ metadata: { name: `p-${written++}` }, spec: { rules: [{ fault: { abort: { httpStatus: 503 } } }] } });

  /** Writes entries on each of some days, and seals each day's. */
  async function write(days: number, aDay: number): Promise<void> {
    const store = new EtcdStore(client, runtime, { keepEndedSeconds: 60 });
    for (let day = 0; day < days; day++) {
      for (let i = 0; i < aDay; i++) {
        assert.ok((await store.put(one(), undefined, { actor: { name: 'a', role: 'admin' }, address: '', time: now })).done);
      }
      const fail = (error: unknown): void => assert.fail(String(error));
      const sealer = new Sealer({
        log,
        runtime,
        replica: 'one',
        key: undefined,
        sealed: () => {},
        broken: () => fail('broken'),
        failed: fail,
      });
      sealer.start();
      await until(async () => (await log.unsealed()).entries.length === 0, 'all is sealed');
      sealer.stop();
      now += DAY_MS;
    }
  }

  function keeping(keepDays: number, keepEntries: number): AuditRetention {
    const fail = (error: unknown): void => assert.fail(String(error));
    return new AuditRetention({ log, runtime, key: undefined, keepMs: keepDays * DAY_MS, keepEntries, removed: () => {}, failed: fail });
  }

  async function verify() {
    const verifier = new Verifier({ keys: [] });
    const { anchor, items, head } = await log.seals(1000, 0);
    verifier.takeAnchor(anchor);
    for (const seal of items) verifier.takeSeal(seal);
    const page = await log.list({ limit: 1000, cursor: '', order: 'newest' });
    for (const { revision, ...entry } of page.items) verifier.takeEntry({ ...shown(entry), resourceVersion: String(revision) });
    return verifier.finish({ waiting: new Set(), head, anchor });
  }

  it('of replicas that seal at once, one makes the seal', async () => {
    await write(1, 5);
    for (let i = 0; i < 5; i++) {
      const store = new EtcdStore(client, runtime, { keepEndedSeconds: 60 });
      await store.put(one(), undefined, { actor: { name: 'a', role: 'admin' }, address: '', time: now });
      const found = await log.unsealed();
      const made = await Promise.all(
        ['one', 'two', 'three'].map((replica) => {
          const seal = makeSeal(
            found.head,
            { time: new Date(now).toISOString(), replica, adopted: false, entries: found.entries },
            undefined,
          );
          return log.add(seal, found);
        }),
      );
      assert.equal(made.filter((done) => done).length, 1);
    }
    const found = await verify();
    assert.deepEqual([found.findings, found.entries, found.seals], [[], 10, 6]);
  });

  it('removes what is older than its days, and what stays can be verified', async () => {
    await write(6, 5);
    await keeping(3, 0).removeOld();
    const found = await verify();
    // The newest seal is a day old by now.
    assert.deepEqual([found.findings, found.entries, found.seals], [[], 10, 2]);
    assert.equal(found.forgotten?.entries, 20);
    await keeping(3, 0).removeOld();
    assert.equal((await verify()).entries, 10);
  });

  it('removes what is more than its number, whole seals at a time', async () => {
    await write(6, 5);
    await keeping(0, 12).removeOld();
    assert.deepEqual([(await verify()).findings, (await verify()).entries], [[], 15]);
  });

  it('keeps everything when neither is limited', async () => {
    await write(2, 5);
    now += 10_000 * DAY_MS;
    const retention = keeping(0, 0);
    retention.start();
    await retention.removeOld();
    retention.stop();
    assert.equal((await verify()).entries, 10);
  });

  it('can remove everything, and the chain goes on', async () => {
    await write(2, 5);
    now += 100 * DAY_MS;
    await keeping(3, 0).removeOld();
    const empty = await verify();
    assert.deepEqual([empty.findings, empty.entries, empty.seals, empty.forgotten?.entries], [[], 0, 0, 10]);
    await write(1, 5);
    const found = await verify();
    assert.deepEqual([found.findings, found.entries], [[], 5]);
  });

  it('of replicas that look at once, one removes each', async () => {
    await write(8, 5);
    now += 100 * DAY_MS;
    // Each leaves it to the other when that was faster, so that together they may need several looks.
    await until(async () => {
      await Promise.all([keeping(3, 0), keeping(3, 0), keeping(3, 0)].map((retention) => retention.removeOld()));
      return (await log.oldest()).seal === undefined;
    }, 'all is removed');
    const found = await verify();
    assert.deepEqual([found.findings, found.forgotten?.entries], [[], 40]);
  });

  it('removes nothing from the middle, and what somebody removed there is still missed', async () => {
    await write(5, 5);
    const { items } = await log.seals(10, 0);
    const gone = items[3]?.entries[2]?.id ?? '';
    await client.delete().key(`/hfi/audit/${gone}`);
    await keeping(3, 0).removeOld();
    const found = await verify();
    assert.deepEqual(
      found.findings.map(({ kind, of }) => [kind, of]),
      [['removed', gone]],
    );
  });
});
