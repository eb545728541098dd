import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeClient } from '../../cli/client.ts';
import { verifyLive } from '../../cli/verify-audit.ts';
import { runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import { TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { EtcdKeys } from '../support/etcd-keys.ts';
import { Processes, until } from '../support/processes.ts';
import { FORM } from './form.ts';
import { Pair } from './pair.ts';
import { judge } from './replay.ts';
import { Reporters } from './reporters.ts';
import { Writers } from './writers.ts';

/** A kill comes at a drawn moment of as many milliseconds, which several writes take. */
const WITHIN_MS = 60;
/** Of the kills so many are of both replicas at once. */
const BOTH = 0.2;

describe(`chaos: ${FORM.kills} kills of replicas under load`, function () {
  this.timeout(60_000 + FORM.kills * 5000);
  let processes: Processes;
  before(async () => {
    processes = await Processes.begin();
  });
  after(() => processes.end());

  it('lose no acknowledged write, leave none half done or done twice, and no count is lost or doubled', async () => {
    const etcd = await Etcd.start(processes);
    const keys = new EtcdKeys(etcd.url);
    const pair = await Pair.start(processes, etcd.url);
    const counted = await pair.replicas[0].put('counted', { rules: [{ fault: { abort: { httpStatus: 503 } } }] });
    const { appliedAt } = (counted.body.policy as { metadata: { appliedAt: string } }).metadata;
    const writers = new Writers(pair, 8);
    const reporters = new Reporters(pair, runKey('counted', Date.parse(appliedAt)), 6);
    let inTheMiddle = 0;
    for (let killed = 0; killed < FORM.kills; killed++) {
      await until(() => writers.underWay > 2, 'writes are under way');
      await sleep(Math.random() * WITHIN_MS);
      if (writers.underWay > 0) inTheMiddle++;
      const which = Math.random() < 0.5 ? 0 : 1;
      const both = Math.random() < BOTH && killed + 1 < FORM.kills;
      if (both) killed++;
      await Promise.all([pair.replace(which), ...(both ? [pair.replace(which === 0 ? 1 : 0)] : [])]);
    }
    await writers.stop();
    await reporters.stop();
    await until(async () => (await keys.under('/hfi/audit-waiting/')).length === 0, 'all is sealed', 30_000);

    const found = await judge(keys, writers.writes, (name) => /^(policy|token|halted)-\d/.test(name));
    const { acknowledged, unknown, unknownDone, lost, halfDone, double } = found;
    process.stdout.write(
      `    ${FORM.kills} kills, ${inTheMiddle} times in the middle of writes: ${acknowledged} acknowledged, ${unknown} without an answer, of which ${unknownDone} were done; ` +
        `lost ${lost.length}, half done ${halfDone.length}, double ${double.length}; ${reporters.total} injections counted\n`,
    );
    assert.deepEqual({ lost, halfDone, double }, { lost: [], halfDone: [], double: [] });
    assert.ok(acknowledged > FORM.kills * 10, `${acknowledged} writes`);
    assert.ok(unknown > FORM.kills / 4, `${unknown} writes without an answer: the kills did not hit any`);

    for (const replica of pair.replicas) {
      const audit = await verifyLive(makeClient({ url: replica.url, token: TOKENS.viewer, timeoutMs: 60_000 }), { keys: [] });
      assert.deepEqual([audit.ok, audit.findings], [true, []]);
      assert.ok(audit.entries >= found.entries);
      const { items } = (await replica.ask('GET', '/v1/policies?limit=100')).body as { items: { metadata: { name: string } }[] };
      const inEtcd = (await keys.under('/hfi/policies/')).map(({ key }) => key.slice('/hfi/policies/'.length));
      assert.deepEqual(
        items.map(({ metadata }) => metadata.name),
        inEtcd,
      );
      const total = async () =>
        ((await replica.ask('GET', '/v1/policies/counted/counts')).body.total as { injected: number } | undefined)?.injected;
      let last: number | undefined;
      await until(
        async () => {
          last = await total();
          return last === reporters.total;
        },
        () => `${last} of ${reporters.total} injections are counted`,
        10_000,
      );
      // Nor more of them, when all have been merged.
      await sleep(1500);
      assert.equal(await total(), reporters.total);
    }
  });
});
