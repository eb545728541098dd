import assert from 'node:assert/strict';
import { runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { EtcdKeys } from '../support/etcd-keys.ts';
import { Processes, until } from '../support/processes.ts';
import { report } from '../support/report.ts';

const fault = { abort: { httpStatus: 503 } };
const spec = { selector: { namespace: 'demo' }, rules: [{ fault }] };
/** Reports may come for five seconds, and a replica that began waits for ten; then it looks. */
const SETTLED_MS = 20_000;

interface Run {
  readonly metadata: { readonly appliedAt: string };
  readonly status: {
    readonly phase: string;
    readonly end: { readonly at: string; readonly reason: string; readonly why: string; readonly by: { readonly name: string } } | null;
    readonly result: { readonly verdict: string; readonly total: { readonly matched: number; readonly injected: number } } | null;
  };
}

interface Entry {
  readonly time: string;
  readonly action: string;
  readonly actor: { readonly name: string };
  readonly end?: { readonly reason: string; readonly why: string };
  readonly result?: { readonly appliedAt: string; readonly verdict: string; readonly matched: number; readonly injected: number };
}

/** Applies a policy. @returns the key of its first rule */
async function apply(replica: Replica, name: string, given: PolicyInput['spec'] = spec): Promise<bigint> {
  const { metadata } = (await replica.put(name, given)).body.policy as { metadata: { appliedAt: string; resourceVersion: string } };
  assert.equal((await replica.ask('GET', `/v1/policies/${name}/counts?revision=${metadata.resourceVersion}`)).status, 200);
  return runKey(name, Date.parse(metadata.appliedAt));
}

const remove = (replica: Replica, name: string) => replica.ask('DELETE', `/v1/policies/${name}`);

async function runsOf(replica: Replica, name: string): Promise<Run[]> {
  return ((await replica.ask('GET', `/v1/history?policy=${name}`)).body as { items: Run[] }).items;
}

async function auditOf(replica: Replica, name: string): Promise<Entry[]> {
  return ((await replica.ask('GET', `/v1/audit?policy=${name}`)).body as { items: Entry[] }).items;
}

/** The result of a policy's last run, once it is written. */
async function resultOf(replica: Replica, name: string): Promise<Run['status']['result']> {
  let result: Run['status']['result'] = null;
  await until(
    async () => {
      result = (await runsOf(replica, name))[0]?.status.result ?? null;
      return result !== null;
    },
    `the result of ${name} is written`,
    SETTLED_MS,
  );
  return result;
}

describe('API: what ended policies did', function () {
  this.timeout(90_000);
  let processes: Processes;
  let etcd: Etcd;
  let one: Replica;
  let two: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    [one, two] = await both();
  });
  after(() => processes.end());

  const both = (): Promise<[Replica, Replica]> =>
    Promise.all([Replica.start(processes, etcd.url, { replica: 'one' }), Replica.start(processes, etcd.url, { replica: 'two' })]);

  it('is INCONCLUSIVE in the history and the audit when they hit nothing, said once, when the last reports are there', async () => {
    const key = await apply(one, 'nothing');
    await report(one, [{ key, dice: 7 }]);
    await remove(one, 'nothing');
    assert.equal((await runsOf(two, 'nothing'))[0]?.status.result, null);
    const result = await resultOf(two, 'nothing');
    assert.deepEqual([result?.verdict, result?.total.matched, result?.total.injected], ['inconclusive', 7, 0]);
    const [entry, ...others] = await auditOf(two, 'nothing');
    const [run] = await runsOf(two, 'nothing');
    const appliedAt = run?.metadata.appliedAt ?? '';
    assert.deepEqual([entry?.action, entry?.actor.name], ['result', 'hfi']);
    assert.deepEqual(entry?.result, { appliedAt, verdict: 'inconclusive', matched: 7, injected: 0 });
    assert.ok(Date.parse(entry?.time ?? '') >= Date.parse(run?.status.end?.at ?? '') + 5000);
    assert.deepEqual(
      others.map(({ action }) => action),
      ['delete', 'create'],
    );
    assert.deepEqual(await new EtcdKeys(etcd.url).under('/hfi/ended-waiting/'), [], 'nothing waits any more');
  });

  it('has what was reported after the end, and is of each run apart', async () => {
    const first = await apply(one, 'late');
    await report(one, [{ key: first, injected: 2 }]);
    const second = await apply(one, 'late', { ...spec, priority: 1 });
    await remove(two, 'late');
    await report(two, [{ key: second, injected: 10 }], { proxy: 'proxy-2' });
    await report(one, [{ key: first, injected: 3, dice: 1 }]);
    assert.deepEqual((await resultOf(one, 'late'))?.total.injected, 10);
    await until(async () => (await runsOf(one, 'late')).every(({ status }) => status.result !== null), 'both are written', SETTLED_MS);
    const [last] = await runsOf(one, 'late');
    const written = (await auditOf(one, 'late')).filter(({ action }) => action === 'result').map(({ time }) => Date.parse(time));
    assert.equal(written.length, 2);
    assert.ok(Math.max(...written) >= Date.parse(last?.status.end?.at ?? '') + 5000, 'not before the last reports are there');
    assert.deepEqual(
      (await runsOf(one, 'late')).map(({ status: { end, result } }) => [end?.reason, result?.verdict, result?.total.injected]),
      [
        ['deleted', 'effective', 10],
        ['replaced', 'effective', 3],
      ],
    );
  });

  it('is written by the next replica when all are killed before the end, with what proxies tell when they find it', async () => {
    const key = await apply(one, 'killed', { ...spec, rules: [{ fault: { ...fault, duration_seconds: 4 } }] });
    await report(one, [{ key, injected: 4 }]);
    await until(async () => (await new EtcdKeys(etcd.url).under('/hfi/counts/killed/')).length === 1, 'etcd has the counts');
    await Promise.all([one.kill('SIGKILL'), two.kill('SIGKILL')]);
    [one, two] = await both();
    await until(async () => (await runsOf(one, 'killed')).length === 1, 'its end is written');
    // A proxy that lost the control plane tells the rest when it tries again, at most 8 s later.
    const began = performance.now();
    await until(() => performance.now() > began + 6000, 'it tries again');
    assert.equal((await runsOf(one, 'killed'))[0]?.status.result, null);
    await report(two, [{ key, injected: 9 }]);
    const result = await resultOf(one, 'killed');
    assert.deepEqual([result?.verdict, result?.total.injected], ['effective', 9]);
    assert.equal((await auditOf(one, 'killed')).filter(({ action }) => action === 'result').length, 1);
  });

  describe('stopWhen', () => {
    const stopping = { ...spec, stopWhen: [{ injected: 5 }] };

    /** Whether a proxy that the policy selects would get its rules from a replica now. */
    async function served(at: Replica, name: string): Promise<boolean> {
      await at.poll({ name: 'stop-proxy', namespace: 'demo' });
      const { items } = (await at.ask('GET', '/v1/proxies?scope=local')).body as { items: { name: string; selectedBy: string[] }[] };
      return items.find((proxy) => proxy.name === 'stop-proxy')?.selectedBy.includes(name) === true;
    }

    async function ended(at: Replica, name: string): Promise<Run['status']> {
      let status: Run['status'] | undefined;
      await until(async () => {
        status = (await at.ask('GET', `/v1/policies/${name}`)).body.status as Run['status'] | undefined;
        return status?.end != null;
      }, `the end of ${name} is written`);
      assert.ok(status);
      return status;
    }

    it('ends the policy everywhere once its proxies have hit so many together, and says why', async () => {
      const key = await apply(one, 'stops', stopping);
      await report(one, [{ key, injected: 2 }]);
      await report(two, [{ key, injected: 2 }], { proxy: 'proxy-2' });
      await until(async () => (await served(one, 'stops')) && (await served(two, 'stops')), 'it is in force at both');
      await report(two, [{ key, injected: 4 }], { proxy: 'proxy-2' });
      const { end } = await ended(one, 'stops');
      assert.deepEqual([end?.reason, end?.why, end?.by.name], ['stopped', '6 requests were hit, and stopWhen says 5', 'hfi']);
      await until(async () => !(await served(one, 'stops')) && !(await served(two, 'stops')), 'no replica serves it');
      const audited = await auditOf(one, 'stops');
      assert.deepEqual(
        audited.map(({ action }) => action),
        ['end', 'create'],
      );
      assert.deepEqual(audited[0]?.end, { reason: 'stopped', why: end?.why });
    });

    it('takes its rules away at once though etcd is down, and writes the end when it is back', async () => {
      const key = await apply(one, 'stops-alone', stopping);
      await until(() => served(one, 'stops-alone'), 'it is in force');
      await etcd.kill();
      try {
        await report(one, [{ key, injected: 5 }]);
        await until(async () => !(await served(one, 'stops-alone')), 'it is not served', 1500);
      } finally {
        await etcd.start();
      }
      assert.equal((await ended(one, 'stops-alone')).end?.reason, 'stopped');
      assert.equal((await resultOf(one, 'stops-alone'))?.total.injected, 5);
    });

    it('applied again, it begins anew', async () => {
      await apply(one, 'stops', stopping);
      await until(async () => (await served(one, 'stops')) && (await served(two, 'stops')), 'it is in force at both');
      assert.equal((await runsOf(one, 'stops')).length, 1);
    });
  });
});
