import assert from 'node:assert/strict';
import type { IKeyValue, IRequestOp, IWatchResponse } from 'etcd3';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { type EtcdConnection, makeClient, type WatchStream } from '../../services/control-plane/store/client.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { ModelConnection } from './etcd-connection.ts';
import { EtcdServer } from './etcd-server.ts';
import { Network } from './network.ts';
import { Scheduler } from './scheduler.ts';

/** What the script does besides calling: the model's time goes on only when it is told to. */
interface Side {
  readonly connection: EtcdConnection;
  /** Waits for a call. */
  wait<T>(call: Promise<T>): Promise<T>;
  /** Waits until something holds. */
  until(holds: () => boolean): Promise<void>;
  compact(): Promise<void>;
}

const key = (text: string): Buffer => Buffer.from(text);
const put = (name: string, value: string, lease?: string): IRequestOp => ({
  request_put: { key: key(name), value: Buffer.from(value), ...(lease === undefined ? {} : { lease }) },
});

/** A script of operations; gives all that was answered, but for names that differ from cluster to cluster. */
async function script({ connection, wait, until: untilHolds, compact }: Side): Promise<unknown[]> {
  const said: unknown[] = [];
  const { keys, leases, watches } = connection;
  const names = new Map<string, string>();
  const pair = (kv: IKeyValue) => ({
    key: kv.key.toString(),
    value: kv.value.toString(),
    create: Number(kv.create_revision),
    mod: Number(kv.mod_revision),
    version: Number(kv.version),
    lease: names.get(String(kv.lease)) ?? String(kv.lease),
  });
  const failing = async (call: Promise<unknown>): Promise<void> => {
    said.push(
      await wait(call).then(
        () => 'done',
        (error: Error) => /(etcdserver: .*)$/.exec(error.message)?.[1] ?? error.message,
      ),
    );
  };
  const range = async (request: Parameters<typeof keys.range>[0]): Promise<void> => {
    const { header, kvs, more, count } = await wait(keys.range(request));
    said.push({ revision: Number(header.revision), kvs: kvs.map(pair), more, count: Number(count) });
  };
  const txn = async (request: Parameters<typeof keys.txn>[0]): Promise<void> => {
    const { header, succeeded, responses } = await wait(keys.txn(request));
    const ranges = responses.map((one) => one.response_range?.kvs?.map(pair) ?? Number(one.response_delete_range?.deleted ?? -1));
    said.push({ revision: Number(header.revision), succeeded, ranges });
  };
  const opened: WatchStream[] = [];
  const watch = async (start: number): Promise<IWatchResponse[]> => {
    const heard: IWatchResponse[] = [];
    const stream = await wait(watches.watch());
    opened.push(stream);
    stream.on('data', (response) => heard.push(response));
    stream.on('error', () => undefined);
    stream.write({ create_request: { key: key('a'), range_end: key('c'), start_revision: start, progress_notify: true } });
    await untilHolds(() => heard.some(({ created }) => created));
    return heard;
  };
  const events = (heard: readonly IWatchResponse[]) =>
    heard.flatMap((response) => response.events.map(({ type, kv }) => ({ type: type.toUpperCase(), ...pair(kv) })));

  await range({ key: key('a'), range_end: key('z') });
  await txn({ compare: [{ key: key('a'), target: 'Mod', result: 'Equal', mod_revision: 0 }], success: [put('a', '1'), put('c', '1')] });
  await txn({
    compare: [{ key: key('a'), target: 'Mod', result: 'Equal', mod_revision: 0 }],
    success: [put('a', '2')],
    failure: [{ request_range: { key: key('a') } }],
  });
  await txn({ compare: [{ key: key('b'), target: 'Version', result: 'Equal', version: 0 }], success: [put('b', '1')] });
  await txn({ compare: [{ key: key('b'), target: 'Version', result: 'Equal', version: 0 }], success: [put('b', '1')] });
  await txn({ compare: [], success: [put('a', '3'), { request_range: { key: key('a'), range_end: key('z') } }] });
  await txn({ compare: [], success: [{ request_delete_range: { key: key('nothing') } }] });
  await txn({ compare: [], success: [{ request_delete_range: { key: key('c') } }, put('b/1', 'x')] });
  for (const [from, to] of [
    ['b', 'c'],
    ['x', 'y'],
  ] as const) {
    const none = { key: key(from), range_end: key(to), target: 'Version', result: 'Equal', version: 0 } as const;
    await txn({ compare: [none], success: [put('a', 'none of them is there')] });
  }
  said.push(Number((await wait(keys.put({ key: key('a'), value: Buffer.from('4') }))).header.revision));
  await range({ key: key('a'), range_end: key('z'), limit: 2 });
  await range({ key: key('a'), range_end: key('z'), limit: 2, revision: 3 });
  await range({ key: key('a'), range_end: key('z'), count_only: true });
  await range({ key: key('a'), range_end: key('z'), keys_only: true });
  const { ID } = await wait(leases.leaseGrant({ TTL: 60 }));
  names.set(String(ID), 'the lease');
  await txn({ compare: [], success: [put('b/2', 'leased', ID), put('b/3', 'leased', ID)] });
  await txn({ compare: [], success: [put('b/3', 'no more')] });
  await range({ key: key('b/'), range_end: key('b0') });
  const heard = await watch(2);
  await wait(leases.leaseRevoke({ ID }));
  await failing(leases.leaseRevoke({ ID }));
  await failing(keys.txn({ compare: [], success: [put('late', 'x', ID)] }));
  await range({ key: key('b/'), range_end: key('b0') });
  const { header, deleted } = await wait(keys.deleteRange({ key: key('b'), range_end: key('c') }));
  said.push([Number(header.revision), Number(deleted)]);
  await untilHolds(() => events(heard).some(({ key, type }) => key === 'b/3' && type === 'DELETE'));
  said.push(events(heard));
  const before = heard.length;
  opened[0]?.write({ progress_request: {} });
  await untilHolds(() => heard.length > before);
  said.push(heard.slice(before).map((response) => ({ revision: Number(response.header.revision), events: response.events.length })));
  // From the newest revision on, which is known already.
  const newest = await watch(Number(header.revision));
  await untilHolds(() => events(newest).length > 0);
  said.push(events(newest));
  await compact();
  await failing(keys.range({ key: key('a'), range_end: key('z'), revision: 3 }));
  const tooLate = await watch(3);
  await untilHolds(() => tooLate.some(({ canceled }) => canceled));
  const cancelled = tooLate.find(({ canceled }) => canceled);
  said.push({ compacted: Number(cancelled?.compact_revision), events: events(tooLate), reason: cancelled?.cancel_reason });
  for (const stream of opened) stream.cancel();
  return said;
}

describe('simulation: the model of etcd', () => {
  it('answers a script of operations as the real one does', async function () {
    this.timeout(30_000);
    const processes = await Processes.begin();
    let real: unknown[];
    try {
      const etcd = await Etcd.start(processes);
      const none = undefined;
      const connection = makeClient({
        endpoints: [etcd.url],
        ...{ username: none, password: none, caFile: none, certFile: none, keyFile: none },
      });
      real = await script({
        connection,
        wait: (call) => call,
        until: (holds) => until(async () => holds(), 'etcd tells'),
        compact: () => etcd.compact(),
      });
      connection.close();
    } finally {
      await processes.end();
    }

    const scheduler = new Scheduler(1);
    const server = new EtcdServer(scheduler, new Network(scheduler));
    const clock = { now: () => scheduler.now, elapsed: () => scheduler.now };
    const owner = { name: 'test', start: 'test', runtime: { ...systemRuntime, clock }, take: (task: () => void) => task() };
    const goOn = () => scheduler.run(scheduler.now + 20, () => false);
    const model = await script({
      connection: new ModelConnection(server, owner),
      wait: async (call) => {
        let over = false;
        const end = () => {
          over = true;
        };
        call.then(end, end);
        while (!over) await goOn();
        return call;
      },
      until: async (holds) => {
        for (let i = 0; i < 100 && !holds(); i++) await goOn();
        assert.ok(holds(), 'the model tells');
      },
      compact: async () => server.model.compact(server.model.revision),
    });
    assert.deepEqual(model, real);
  });
});
