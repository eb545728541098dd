import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const spec = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };

describe('API: outages of etcd', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let line: TcpProxy;
  /** Reaches etcd through a line that can be broken. */
  let far: Replica;
  let near: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    line = await TcpProxy.start(etcd.port);
    [far, near] = await Promise.all([Replica.start(processes, `http://127.0.0.1:${line.port}`), Replica.start(processes, etcd.url)]);
  });
  after(async () => {
    line.close();
    await processes.end();
  });

  /** Milliseconds until the far replica serves another ruleset than `before`. */
  async function currentAfter(before: string | null): Promise<number> {
    const begun = performance.now();
    await until(async () => {
      const reply = await far.poll({ name: 'watcher' });
      return reply.status === 200 && reply.headers.get('etag') !== before;
    }, 'the far replica is current');
    return performance.now() - begun;
  }

  const etag = async () => (await far.poll({ name: 'watcher' })).headers.get('etag');

  it('answers 503 with Retry-After while etcd is down, never an empty list; loses no write that it answered', async () => {
    const acknowledged: string[] = [];
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) {
        const reply = await near.put(`write-${i}`, spec).catch(() => undefined);
        if (reply !== undefined && reply.status < 300) acknowledged.push(`write-${i}`);
      }
    })();
    for (let round = 0; round < 3; round++) {
      await sleep(300);
      await etcd.kill();
      const begun = performance.now();
      const [list, write] = await Promise.all([near.ask('GET', '/v1/policies'), near.put('during', spec)]);
      assert.deepEqual([list.status, write.status], [503, 503], list.text);
      assert.ok(Number(list.headers.get('retry-after')) >= 1);
      assert.ok(performance.now() - begun < 2500);
      assert.equal((await near.ask('GET', '/readyz', { role: 'none' })).status, 503);
      await etcd.start();
    }
    writing = false;
    await writer;
    await until(async () => (await near.ask('GET', '/readyz', { role: 'none' })).status === 200, 'ready again');
    assert.ok(acknowledged.length > 20, `${acknowledged.length} writes`);
    for (const name of acknowledged) assert.equal((await near.ask('GET', `/v1/policies/${name}`)).status, 200, name);
    // Also those that were done without an answer.
    const { items } = (await near.ask('GET', '/v1/policies?limit=100')).body as { items: { metadata: { name: string } }[] };
    for (const { metadata } of items) await near.ask('DELETE', `/v1/policies/${metadata.name}`);
  });

  it('audits the end of a policy that came while etcd was down', async () => {
    const applied = await near.put('ends-unseen', { rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: 1 } }] });
    assert.equal(applied.status, 201);
    await etcd.kill();
    await sleep(1500);
    await etcd.start();
    const ends = async () => {
      const reply = await near.ask('GET', '/v1/audit?limit=100');
      const items = (reply.body.items ?? []) as { action: string; policy: string }[];
      return items.filter(({ action, policy }) => action === 'end' && policy === 'ends-unseen').length;
    };
    await until(async () => (await ends()) === 1, 'the end is audited', 8000);
  });

  it('is current within 2 s of etcd being back', async () => {
    const before = await etag();
    await etcd.kill();
    await sleep(1500);
    await etcd.start();
    await until(async () => (await near.put('after-restart', spec)).status < 300, 'a write goes through');
    const ms = await currentAfter(before);
    assert.ok(ms < 2000, `${Math.round(ms)} ms`);
    await near.ask('DELETE', '/v1/policies/after-restart');
  });

  for (const how of ['cut', 'to-server', 'to-client', 'both'] as const) {
    it(`is current within 2 s after its line to etcd was ${how === 'cut' ? 'cut' : `stalled (${how})`} for 3 s`, async () => {
      const before = await etag();
      if (how === 'cut') line.cut();
      else line.stall(how);
      await near.put(`missed-${how}`, spec);
      await sleep(3000);
      line.pass();
      const ms = await currentAfter(before);
      assert.ok(ms < 2000, `${Math.round(ms)} ms`);
      await near.ask('DELETE', `/v1/policies/missed-${how}`);
      await sleep(300);
    });
  }

  it('is current within 2 s after its connections to etcd became half-open, which nobody tells it', async () => {
    const before = await etag();
    line.halfOpen();
    await near.put('unheard', spec);
    const ms = await currentAfter(before);
    assert.ok(ms < 2000, `${Math.round(ms)} ms`);
    await near.ask('DELETE', '/v1/policies/unheard');
  });

  for (const how of ['cut', 'to-server', 'to-client', 'both'] as const) {
    it(`refuses reads and writes in time while its line is ${how === 'cut' ? 'cut' : `stalled (${how})`}`, async () => {
      if (how === 'cut') line.cut();
      else line.stall(how);
      const begun = performance.now();
      const timed = { rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: 600 } }] };
      const replies = await Promise.all([
        far.ask('GET', '/v1/policies'),
        far.ask('GET', '/v1/policies/any'),
        far.ask('GET', '/v1/audit'),
        far.put(`refused-${how}`, spec),
        far.put(`refused-timed-${how}`, timed),
        far.put(`refused-${how}`, spec, { 'if-match': '"1"' }),
        far.ask('DELETE', '/v1/policies/any'),
      ]);
      const ms = performance.now() - begun;
      line.pass();
      assert.deepEqual(
        replies.map(({ status }) => status),
        replies.map(() => 503),
      );
      for (const reply of replies) assert.ok(Number(reply.headers.get('retry-after')) >= 1);
      assert.ok(ms < 2500, `${Math.round(ms)} ms`);
      await until(async () => (await far.ask('GET', '/readyz', { role: 'none' })).status === 200, 'ready again');
      for (const name of [`refused-${how}`, `refused-timed-${how}`]) await near.ask('DELETE', `/v1/policies/${name}`);
    });
  }

  it('does not renew leases from a copy that could not be confirmed for long', async () => {
    line.stall('both');
    await until(async () => (await far.poll({ name: 'watcher' })).status === 503, 'polls are answered 503', 15_000);
    assert.equal((await near.poll({ name: 'watcher' })).status, 200);
    line.pass();
    await until(async () => (await far.poll({ name: 'watcher' })).status === 200, 'it recovers', 5000);
  });

  it('does not bring back what a proxy has heard is deleted, while its own copy may lack the deletion', async () => {
    await near.put('deleted', { ...spec, selector: { namespace: 'deleted' } });
    const proxy = { name: 'deleted', namespace: 'deleted' };
    const has = (await near.poll(proxy)).headers.get('etag') ?? '';
    await until(async () => (await far.poll({ ...proxy, has })).status === 304, 'the far replica serves the same');
    line.stall('both');
    const gone = await near.ask('DELETE', '/v1/policies/deleted');
    const headers = { 'x-hfi-revision': String(gone.body.resourceVersion) };
    const empty = await near.poll({ ...proxy, has, headers });
    assert.equal(empty.status, 200);
    const reply = await far.poll({ ...proxy, has: empty.headers.get('etag') ?? '', headers });
    assert.equal(reply.status, 503);
    line.pass();
    await until(
      async () => (await far.poll({ ...proxy, has: empty.headers.get('etag') ?? '', headers })).status === 304,
      'it recovers',
      5000,
    );
  });

  it('lists again after a compaction that it missed', async () => {
    const before = await etag();
    line.cut();
    for (let i = 0; i < 5; i++) await near.put('compacted', { ...spec, priority: i });
    await etcd.compact();
    await sleep(500);
    line.pass();
    const ms = await currentAfter(before);
    assert.ok(ms < 2000, `${Math.round(ms)} ms`);
    await near.ask('DELETE', '/v1/policies/compacted');
  });

  describe('when etcd comes back with another history', () => {
    const names = async (replica: Replica): Promise<string[]> => {
      const { items } = (await replica.ask('GET', '/v1/proxies')).body as { items: { name: string; selectedBy: string[] }[] };
      return items.find(({ name }) => name === 'watcher')?.selectedBy ?? [];
    };

    it('forgets what etcd lost, and goes on', async () => {
      for (let i = 0; i < 10; i++) await near.put(`lost-${i}`, spec);
      await etag();
      await until(async () => (await names(far)).includes('lost-9'), 'the far replica follows', 2000);
      const before = await etag();
      await etcd.lose();
      await etcd.start();
      const ms = await currentAfter(before);
      assert.ok(ms < 2000, `${Math.round(ms)} ms`);
      assert.deepEqual(await names(far), []);
      assert.equal((await near.put('afterwards', spec)).status, 201);
      await until(async () => (await names(far)).includes('afterwards'), 'the far replica follows', 2000);
    });

    it('sees it though the new history has grown longer than the old one', async () => {
      await etcd.kill();
      await etcd.start();
      await until(async () => (await near.put('old', spec)).status < 300, 'a write goes through');
      await until(async () => (await names(far)).includes('old'), 'the far replica follows', 2000);
      line.cut();
      await etcd.lose();
      await etcd.start();
      await until(async () => (await near.put('new', spec)).status < 300, 'a write goes through');
      for (let i = 0; i < 60; i++) await near.put('new', { ...spec, priority: i });
      line.pass();
      await until(async () => (await names(far)).includes('new'), 'the far replica follows', 2000);
      assert.deepEqual(await names(far), ['new']);
    });
  });

  it('ends a policy on time though etcd was restarted meanwhile, and its key stays', async () => {
    await near.put('short', { rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: 4 } }] });
    const end = Date.now() + 4000;
    const before = await etag();
    await etcd.kill();
    await etcd.start();
    await currentAfter(before).catch(() => undefined);
    await sleep(Math.max(0, end - Date.now() + 150));
    const policy = await near.ask('GET', '/v1/policies/short');
    assert.equal((policy.body.status as { state: string }).state, 'ended');
    const { items } = (await far.ask('GET', '/v1/proxies')).body as { items: { name: string; selectedBy: string[] }[] };
    assert.equal(items.find(({ name }) => name === 'watcher')?.selectedBy.includes('short'), false);
  });

  it('starts without etcd, is not ready, gives no ruleset, and recovers', async () => {
    await etcd.kill();
    const early = await Replica.start(processes, etcd.url, { ready: false });
    assert.equal((await early.ask('GET', '/readyz', { role: 'none' })).status, 503);
    assert.equal((await early.poll()).status, 503);
    await etcd.start();
    await until(async () => (await early.ask('GET', '/readyz', { role: 'none' })).status === 200, 'ready', 5000);
    assert.equal((await early.poll()).status, 200);
  });
});
