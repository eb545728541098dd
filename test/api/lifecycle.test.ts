import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { makeClient } from '../../services/control-plane/store/client.ts';
import { EtcdHistory } from '../../services/control-plane/store/history.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { EtcdKeys } from '../support/etcd-keys.ts';
import { Processes, until } from '../support/processes.ts';

const fault = { abort: { httpStatus: 503 } };
const spec = { rules: [{ fault }] };
/** Selects nobody, unless told otherwise. */
const timed = (seconds: number) => ({ selector: { namespace: 'nobody' }, rules: [{ fault: { ...fault, duration_seconds: seconds } }] });

interface Resource {
  readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly appliedAt: string };
  readonly spec: { readonly priority: number };
  readonly status: {
    readonly state: string;
    readonly phase: string;
    readonly lease: { readonly until: string } | null;
    readonly end: { readonly at: string; readonly reason: string; readonly why: string; readonly by: { readonly name: string } } | null;
    readonly result: { readonly verdict: string; readonly total: { readonly matched: number; readonly injected: number } } | null;
  };
}

async function history(replica: Replica, query = ''): Promise<Resource[]> {
  const items: Resource[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body, text } = await replica.ask('GET', `/v1/history?cursor=${cursor}&${query}`);
    assert.equal(status, 200, text);
    items.push(...(body.items as Resource[]));
    cursor = body.nextCursor as string | null;
  }
  return items;
}

/** How the last run of a policy ended. */
async function lastEnd(replica: Replica, name: string): Promise<Resource['status']['end']> {
  return (await history(replica, `policy=${name}`))[0]?.status.end ?? null;
}

async function get(replica: Replica, name: string): Promise<Resource> {
  return (await replica.ask('GET', `/v1/policies/${name}`)).body as unknown as Resource;
}

const renew = (replica: Replica, name: string, headers: Record<string, string> = {}): Promise<Reply> =>
  replica.ask('POST', `/v1/policies/${name}/renew`, { headers });

describe('API: the life of a policy', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let replica: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    replica = await Replica.start(processes, etcd.url, { replica: 'one' });
  });
  after(() => processes.end());

  describe('history', () => {
    it('has a run that was deleted, with its spec, when, why and by whom', async () => {
      const applied = await replica.put('gone', { ...spec, priority: 7 });
      const { metadata } = applied.body.policy as Resource;
      await replica.ask('DELETE', '/v1/policies/gone', { role: 'editor' });
      const [run, ...others] = await history(replica, 'policy=gone');
      assert.deepEqual(others, []);
      assert.deepEqual(run?.metadata, metadata);
      assert.equal(run?.spec.priority, 7);
      const { end, phase, state } = run?.status ?? {};
      assert.deepEqual([phase, state, end?.reason, end?.by.name], ['ended', 'ended', 'deleted', 'the-editor']);
      assert.equal((await replica.ask('GET', '/v1/policies/gone')).status, 404);
    });

    it('has one run for each apply that changed something', async () => {
      await replica.put('again', spec);
      await replica.put('again', spec);
      await replica.put('again', { ...spec, priority: 1 });
      await replica.ask('DELETE', '/v1/policies/again');
      await replica.put('again', { ...spec, priority: 2 });
      assert.deepEqual(
        (await history(replica, 'policy=again')).map(({ spec, status }) => [spec.priority, status.end?.reason]),
        [
          [1, 'deleted'],
          [0, 'replaced'],
        ],
      );
      assert.equal((await get(replica, 'again')).status.phase, 'active');
    });

    it('has a run whose time was over; the policy can be created again at once', async () => {
      const applied = await replica.put('short', timed(1));
      const { appliedAt } = (applied.body.policy as Resource).metadata;
      await until(async () => (await get(replica, 'short')).status.end !== null, 'its end is written', 5000);
      const { status } = await get(replica, 'short');
      assert.deepEqual([status.state, status.phase, status.end?.reason, status.end?.by.name], ['ended', 'ended', 'expired', 'hfi']);
      assert.equal(Date.parse(status.end?.at ?? ''), Date.parse(appliedAt) + 1000);
      assert.deepEqual(
        (await history(replica, 'policy=short')).map((run) => run.status.end),
        [status.end],
      );
      // What is over is not in the way.
      assert.equal((await replica.put('short', spec, { 'if-match': '*' })).status, 412);
      const created = await replica.ask('POST', '/v1/policies', { body: { metadata: { name: 'short' }, spec } });
      assert.equal(created.status, 201);
      assert.deepEqual([created.body.result, (created.body.policy as Resource).status.end], ['created', null]);
      assert.equal((await history(replica, 'policy=short')).length, 1);
    });

    it('deleting what is over is no other end', async () => {
      await replica.put('over', timed(1));
      await until(async () => (await get(replica, 'over')).status.end !== null, 'its end is written', 5000);
      assert.equal((await replica.ask('DELETE', '/v1/policies/over')).status, 200);
      assert.deepEqual(
        (await history(replica, 'policy=over')).map(({ status }) => status.end?.reason),
        ['expired'],
      );
    });

    it('the audit says how it ended', async () => {
      const { body } = await replica.ask('GET', '/v1/audit?policy=over&action=end');
      assert.deepEqual(
        (body.items as { end: unknown; actor: { name: string } }[]).map(({ end, actor }) => [end, actor.name]),
        [[{ reason: 'expired', why: 'the time of its last rule was over' }, 'hfi']],
      );
    });

    it('is read page by page, the latest end first', async () => {
      for (let i = 0; i < 12; i++) {
        await replica.put(`page-${i}`, spec);
        await replica.ask('DELETE', `/v1/policies/page-${i}`);
      }
      const all = await history(replica, 'limit=5');
      const ends = all.map(({ status }) => status.end?.at ?? '');
      assert.deepEqual(ends, ends.toSorted().reverse());
      assert.deepEqual(
        all.slice(0, 12).map(({ metadata }) => metadata.name),
        Array.from({ length: 12 }, (_, i) => `page-${11 - i}`),
      );
      assert.equal(new Set(all.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)).size, all.length);
      assert.deepEqual(
        await history(replica, 'limit=2&policy=page-3'),
        all.filter(({ metadata }) => metadata.name === 'page-3'),
      );
    });

    it('is kept for as long, and as many, as configured', async () => {
      const none = undefined;
      const client = makeClient({ endpoints: [etcd.url], username: none, password: none, caFile: none, certFile: none, keyFile: none });
      try {
        const kept = new EtcdHistory(client, systemRuntime);
        const all = await history(replica);
        await kept.trim(undefined, 0);
        assert.deepEqual(await history(replica), all);
        await kept.trim(undefined, 7);
        assert.deepEqual(await history(replica), all.slice(0, 7));
        const before = all[3]?.status.end?.at ?? '';
        await Promise.all([kept.trim(Date.parse(before), 7), kept.trim(Date.parse(before), 7)]);
        assert.deepEqual(
          await history(replica),
          all.slice(0, 7).filter(({ status }) => (status.end?.at ?? '') >= before),
        );
        await kept.trim(systemRuntime.clock.now() + 1000, 7);
        assert.deepEqual(await history(replica), []);
      } finally {
        client.close();
      }
    });
  });

  it('a policy whose window opens later is scheduled, then active', async () => {
    const start = new Date(Date.now() + 1500).toISOString();
    await replica.put('later', { rules: [{ match: { window: { start } }, fault }] });
    assert.equal((await get(replica, 'later')).status.phase, 'scheduled');
    await until(async () => (await get(replica, 'later')).status.phase === 'active', 'it is active', 5000);
    assert.ok(Date.now() >= Date.parse(start));
  });

  it('is ending until every connected proxy has taken the ruleset without it', async () => {
    const proxy = { name: 'slow', namespace: 'leaving' };
    await replica.put('leaving', { ...timed(1), selector: { namespace: 'leaving' } });
    let answer = await replica.poll(proxy);
    await until(async () => {
      answer = await replica.poll(proxy);
      return answer.headers.get('etag') !== null;
    }, 'it gets a ruleset');
    await replica.poll({ ...proxy, has: answer.headers.get('etag') ?? '' });
    await until(async () => (await get(replica, 'leaving')).status.end !== null, 'its end is written', 5000);
    assert.equal((await get(replica, 'leaving')).status.phase, 'ending');
    assert.equal((await history(replica, 'policy=leaving'))[0]?.status.phase, 'ending');
    const without = await replica.poll({ ...proxy, has: answer.headers.get('etag') ?? '' });
    assert.equal(without.status, 200);
    await replica.poll({ ...proxy, has: without.headers.get('etag') ?? '' });
    assert.equal((await get(replica, 'leaving')).status.phase, 'ended');
    assert.equal((await history(replica, 'policy=leaving'))[0]?.status.phase, 'ended');
  });

  describe("the owner's lease", () => {
    const held = { ...spec, lease: '8s', selector: { namespace: 'held' } };

    /** Whether a proxy that the policy selects would get its rule now. */
    async function faulted(at: Replica): Promise<boolean> {
      await at.poll({ name: 'held-proxy', namespace: 'held' });
      const { items } = (await at.ask('GET', '/v1/proxies?scope=local')).body as { items: { name: string; selectedBy: string[] }[] };
      return items.find(({ name }) => name === 'held-proxy')?.selectedBy.includes('held') === true;
    }

    /** Sees the rules go within a second of the end, and not before it. */
    async function endsAt(end: number, ...replicas: readonly Replica[]): Promise<void> {
      for (const one of replicas) {
        let when = Date.now();
        await until(
          async () => {
            const still = await faulted(one);
            if (still) when = Date.now();
            return !still;
          },
          'the rules are gone',
          20_000,
        );
        assert.ok(Date.now() >= end, `gone ${end - Date.now()} ms early`);
        assert.ok(when < end + 1000, `there ${when - end} ms after the end`);
      }
    }

    it('renewed it goes on, not renewed it ends, everywhere, once; two replicas', async () => {
      const two = await Replica.start(processes, etcd.url, { replica: 'two' });
      const applied = await replica.put('held', held);
      const { resourceVersion } = (applied.body.policy as Resource).metadata;
      let last = '';
      // Either replica takes a renewal, for longer than the lease.
      for (let i = 0; Date.now() < Date.parse((applied.body.policy as Resource).metadata.appliedAt) + 10_000; i++) {
        await sleep(1000);
        const reply = await renew(i % 2 === 0 ? replica : two, 'held', { 'if-match': `"${resourceVersion}"` });
        assert.equal(reply.status, 200, reply.text);
        last = reply.body.until as string;
      }
      assert.deepEqual([await faulted(replica), await faulted(two)], [true, true]);
      assert.equal((await get(two, 'held')).status.lease?.until, last);
      await Promise.all([endsAt(Date.parse(last), replica), endsAt(Date.parse(last), two)]);
      await until(async () => (await get(two, 'held')).status.end !== null, 'its end is written', 2000);
      const end = await lastEnd(replica, 'held');
      assert.deepEqual([end?.at, end?.reason, end?.why], [last, 'expired', 'its owner did not renew the lease of 8s']);
      // Time for the other replica to write it too.
      await sleep(500);
      assert.equal((await history(replica, 'policy=held')).length, 1);
      const { body } = await replica.ask('GET', '/v1/audit?policy=held&limit=50');
      assert.deepEqual(
        (body.items as { action: string }[]).map(({ action }) => action),
        ['end', 'create'],
      );
      const late = await renew(two, 'held');
      assert.deepEqual([late.status, late.body.detail], [409, 'The policy "held" has ended: apply it again.']);
      await two.kill('SIGTERM');
    });

    it('goes on over a restart of the control plane that is shorter than the lease', async () => {
      await replica.put('held', { ...held, lease: '20s' });
      await sleep(500);
      const { body } = await renew(replica, 'held');
      const end = Date.parse(body.until as string);
      await replica.kill('SIGKILL');
      replica = await Replica.start(processes, etcd.url, { replica: 'one' });
      assert.ok(Date.now() < end - 500, 'the restart was quick enough to tell');
      assert.equal(await faulted(replica), true);
      await endsAt(end, replica);
      await until(async () => (await lastEnd(replica, 'held')) !== null && (await get(replica, 'held')).status.end !== null, 'it ended');
      assert.equal(Date.parse((await lastEnd(replica, 'held'))?.at ?? ''), end);
    });

    it('over while no control plane ran, it is never served again, and its end is written', async () => {
      await replica.put('held', held);
      const end = Date.parse((await get(replica, 'held')).status.lease?.until ?? '');
      await replica.kill('SIGKILL');
      await sleep(end - Date.now() + 50);
      replica = await Replica.start(processes, etcd.url, { replica: 'one' });
      assert.equal(await faulted(replica), false);
      await until(async () => (await get(replica, 'held')).status.end !== null, 'its end is written', 3000);
      assert.equal(Date.parse((await lastEnd(replica, 'held'))?.at ?? ''), end);
    });

    it('ends on time with etcd down, and the end is written once it is back', async () => {
      await replica.put('held', held);
      const end = Date.parse((await get(replica, 'held')).status.lease?.until ?? '');
      await until(() => faulted(replica), 'it is in force');
      await etcd.kill();
      try {
        assert.equal((await renew(replica, 'held')).status, 503);
        await endsAt(end, replica);
      } finally {
        await etcd.start();
      }
      await until(async () => (await get(replica, 'held')).status?.end != null, 'its end is written', 5000);
      assert.equal(Date.parse((await lastEnd(replica, 'held'))?.at ?? ''), end);
    });

    it('applied again unchanged, it is renewed and goes on as the same run', async () => {
      const first = (await replica.put('same', held)).body.policy as Resource;
      await sleep(1100);
      const again = await replica.put('same', held);
      assert.equal(again.body.result, 'unchanged');
      const second = again.body.policy as Resource;
      assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
      assert.ok((second.status.lease?.until ?? '') > (first.status.lease?.until ?? ''));
    });

    it('of one run is none of the next', async () => {
      await replica.put('next', { ...held, lease: '1h' });
      await renew(replica, 'next');
      await replica.put('next', { ...held, priority: 1 });
      const { status, metadata } = await get(replica, 'next');
      assert.equal(Date.parse(status.lease?.until ?? ''), Date.parse(metadata.appliedAt) + 8000);
      assert.deepEqual(await new EtcdKeys(etcd.url).under('/hfi/policy-leases/next'), []);
    });

    it('is listed with the policies', async () => {
      await replica.put('listed-1', { ...held, lease: '1h' });
      await replica.put('listed-2', spec);
      await replica.put('listed-3', { ...held, lease: '1h' });
      const { body } = await renew(replica, 'listed-3');
      const { items } = (await replica.ask('GET', '/v1/policies?limit=100&cursor=listed')).body as { items: Resource[] };
      const leases = items.filter(({ metadata }) => metadata.name.startsWith('listed-')).map(({ status }) => status.lease?.until);
      assert.equal(leases.length, 3);
      assert.deepEqual(leases.slice(1), [undefined, body.until]);
    });

    for (const [what, name, headers, status] of [
      ['a policy that is not there', 'nowhere', {}, 404],
      ['a policy without a lease', 'listed-2', {}, 409],
      ['a run that is another one by now', 'listed-1', { 'if-match': '"1"' }, 412],
    ] as const) {
      it(`refuses to renew ${what}: ${status}`, async () => {
        assert.equal((await renew(replica, name, headers)).status, status);
      });
    }

    it('can not be shorter than 5 s or longer than an hour', async () => {
      for (const lease of ['4.9s', '61m', '10', 'soon']) {
        const reply = await replica.ask('PUT', '/v1/policies/wrong', { body: { metadata: { name: 'wrong' }, spec: { ...spec, lease } } });
        assert.equal(reply.status, 400);
        assert.equal((reply.body.errors as { path: string }[])[0]?.path, 'spec.lease');
      }
    });
  });
});
