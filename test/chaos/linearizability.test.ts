import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { crashSafe } from '../../cli/sandbox/versions.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { FORM } from './form.ts';
import { type Operation, Recorder, withStaleRead } from './history.ts';
import { Pair } from './pair.ts';

const CHECKER = join(import.meta.dirname, 'linearizability');
const CLIENTS = 6;

const hasGo = spawnSync('go', ['version']).status === 0;

describe('chaos: is the policy API linearizable', function () {
  this.timeout(180_000);
  let processes: Processes;
  let checker: string;
  let recorded: readonly Operation[] = [];

  before(function () {
    if (hasGo) return;
    process.stdout.write('    not run: the checker (porcupine) needs Go, which is not on the PATH\n');
    this.skip();
  });
  before(async () => {
    processes = await Processes.begin();
    checker = join(processes.folder, 'linearizability');
    const built = spawnSync('go', ['build', '-o', checker, '.'], { cwd: CHECKER, encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
  });
  after(() => processes?.end());

  function check(history: readonly Operation[]): string {
    const { stdout, stderr } = spawnSync(checker, { input: history.map((one) => JSON.stringify(one)).join('\n'), encoding: 'utf8' });
    return `${stdout}${stderr}`.trim();
  }

  for (let round = 1; round <= FORM.histories; round++) {
    it(`while replicas are killed and frozen, and etcd is killed, frozen and cut off (${round})`, async () => {
      const etcd = await Etcd.start(processes);
      const line = await TcpProxy.start(etcd.port);
      const pair = await Pair.start(processes, etcd.url, `http://127.0.0.1:${line.port}`);
      const recorder = new Recorder(() => pair.any(), CLIENTS);
      const safe = crashSafe((await findBinary('etcd')).version);
      for (const fault of drawn(faults(pair, etcd, line, safe))) {
        const before = recorder.operations.length;
        await until(() => recorder.operations.length > before + 60, 'it is in use');
        await fault();
      }
      const before = recorder.operations.length;
      await until(() => recorder.operations.length > before + 100, 'it is in use again');
      await recorder.stop();
      line.close();
      await Promise.all([...pair.replicas.map((replica) => replica.kill()), etcd.kill()]);

      recorded = recorder.operations;
      const unknown = recorded.filter(({ outcome }) => outcome === 'unknown').length;
      const told = new Set(recorded.map(({ op, if: condition, outcome }) => `${op} if ${condition}: ${outcome}`));
      assert.deepEqual(recorder.contradictions, []);
      const verdict = check(recorded);
      process.stdout.write(`    ${recorded.length} operations, ${unknown} without an answer: ${verdict}\n`);
      assert.equal(verdict, 'linearizable');
      for (const seen of ['put if at: done', 'put if at: refused', 'put if none: done', 'delete if at: done', 'get if any: done'])
        assert.ok(told.has(seen), `${seen} did not happen`);
      assert.ok(unknown > 0, 'no fault hit any');
    });
  }

  it('and the checker finds one read of what was overwritten', () => {
    const stale = withStaleRead(recorded);
    assert.ok(stale !== undefined, 'the history has a read that can be made stale');
    assert.match(check(stale), /^not linearizable: [a-h]$/);
  });
});

type Fault = () => Promise<void>;

function faults(pair: Pair, etcd: Etcd, line: TcpProxy, crashes: boolean): Fault[] {
  const frozen = async (which: 0 | 1): Promise<void> => {
    const { child } = pair.replicas[which];
    child.kill('SIGSTOP');
    await sleep(1000);
    child.kill('SIGCONT');
  };
  const restart = async (): Promise<void> => {
    await etcd.kill();
    await etcd.start();
  };
  return [
    () => pair.replace(0),
    () => pair.replace(1),
    () => frozen(0),
    () => frozen(1),
    async () => {
      etcd.freeze();
      await sleep(800);
      etcd.thaw();
    },
    async () => {
      line.cut();
      await sleep(500);
      line.pass();
    },
    async () => {
      line.stall('to-client');
      await sleep(1700);
      line.pass();
    },
    // An etcd that is not safe in a crash would be blamed on the control plane.
    ...(crashes ? [restart] : []),
  ];
}

function drawn<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, by: Math.random() }))
    .sort((one, other) => one.by - other.by)
    .map(({ item }) => item);
}
