import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Runtime, systemRuntime } from '../../services/control-plane/runtime.ts';
import { type EtcdConnection, makeClient } from '../../services/control-plane/store/client.ts';
import { Follower } from '../../services/control-plane/store/follower.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const none = undefined;
/** How long the process seems to be stopped, in milliseconds. */
const STOPPED_MS = 16_000;

describe('the follower of a replica whose process was stopped', function () {
  this.timeout(30_000);
  let processes: Processes;
  let etcd: Etcd;
  let follower: Follower;
  /** What of the time went by while the process was stopped, in milliseconds. */
  let stopped = 0;
  let stopNow = false;
  const notes: string[] = [];
  const clock = { now: () => Date.now() + stopped, elapsed: () => performance.now() + stopped };
  const runtime: Runtime = { ...systemRuntime, clock };

  /** A real connection, whose next answer is one that was there already when the process was stopped. */
  function connect(): EtcdConnection {
    const client = makeClient({ endpoints: [etcd.url], username: none, password: none, caFile: none, certFile: none, keyFile: none });
    const watch = client.watches.watch.bind(client.watches);
    client.watches.watch = async () => {
      const stream = await watch();
      const on = stream.on.bind(stream) as (event: string, heard: (said: unknown) => void) => unknown;
      Object.assign(stream, {
        on: (event: string, heard: (said: unknown) => void) =>
          on(event, (said) => {
            if (event === 'data' && stopNow) {
              stopNow = false;
              stopped += STOPPED_MS;
            }
            heard(said);
          }),
      });
      return stream;
    };
    return client;
  }

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    const nothing = (): void => undefined;
    follower = new Follower(connect, runtime, {
      halted: nothing,
      changed: nothing,
      renewed: nothing,
      ready: nothing,
      note: (what) => notes.push(what),
    });
    follower.start();
  });
  after(async () => {
    follower.stop();
    await processes.end();
  });

  it('takes what waited for it for no news, follows anew, and is current then', async () => {
    const age = (): number => clock.elapsed() - (follower.currentAt ?? 0);
    await until(async () => age() < 500, 'it follows');
    stopNow = true;
    await until(async () => stopped > 0, 'an answer has come');
    assert.ok(age() >= STOPPED_MS, `${age()} ms`);
    assert.ok(notes.includes('etcd watch lost'));
    await sleep(10);
    await until(async () => age() < 500, 'it follows anew', 5000);
  });
});
