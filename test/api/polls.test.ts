import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const fault = { abort: { httpStatus: 503 } };
const forFrontend = { selector: { service: 'frontend' }, rules: [{ fault }] };

async function etagOf(poll: Promise<Reply>): Promise<string> {
  return (await poll).headers.get('etag') ?? '';
}

describe('API: polls, two replicas', () => {
  let processes: Processes;
  let etcd: Etcd;
  let one: Replica;
  let two: Replica;

  before(async function () {
    this.timeout(60_000);
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    [one, two] = await Promise.all([Replica.start(processes, etcd.url), Replica.start(processes, etcd.url)]);
  });
  after(() => processes.end());

  it('holds a poll until a change at the other replica, and wakes only whom it concerns', async () => {
    const has = await etagOf(two.poll({ name: 'f' }));
    const other = await etagOf(two.poll({ name: 'b', labels: 'app=backend' }));
    const held = two.poll({ name: 'f', has, wait: 10 });
    let woken = false;
    const bystander = two.poll({ name: 'b', labels: 'app=backend', has: other, wait: 2 }).then((reply) => {
      woken = true;
      return reply;
    });
    await sleep(100);
    const begun = performance.now();
    await one.put('wake', forFrontend);
    const reply = await held;
    assert.equal(reply.status, 200);
    assert.ok(performance.now() - begun < 500);
    assert.ok(Math.abs(Number(reply.headers.get('x-hfi-time')) - Date.now()) < 1000);
    assert.equal(woken, false);
    assert.equal((await bystander).status, 304);
    await one.ask('DELETE', '/v1/policies/wake');
  });

  it('gives proxies with the same policies the same bytes', async () => {
    await one.put('same', { selector: { namespace: 'demo' }, rules: [{ fault }] });
    await until(async () => (await two.poll({ name: 's1' })).text.length > 0, 'bytes');
    const tags = await Promise.all([
      one.poll({ name: 's1' }),
      two.poll({ name: 's2', labels: 'app=backend' }),
      one.poll({ name: 's3', namespace: 'else' }),
    ]);
    assert.equal(tags[0].headers.get('etag'), tags[1].headers.get('etag'));
    assert.notEqual(tags[0].headers.get('etag'), tags[2].headers.get('etag'));
    await one.ask('DELETE', '/v1/policies/same');
  });

  it('answers a poll at once when the proxy sends another', async () => {
    const has = await etagOf(one.poll({ name: 'twice' }));
    const first = one.poll({ name: 'twice', has, wait: 10 });
    await sleep(50);
    const begun = performance.now();
    const second = one.poll({ name: 'twice', has, wait: 1 });
    assert.equal((await first).status, 304);
    assert.ok(performance.now() - begun < 500);
    assert.equal((await second).status, 304);
  });

  it('lets go of a poll whose client vanished', async () => {
    const has = await etagOf(one.poll({ name: 'vanisher' }));
    const gone = new AbortController();
    const held = one.poll({ name: 'vanisher', has, wait: 30, signal: gone.signal }).catch(() => undefined);
    const waiting = async () => Number(/hfi_polls_waiting (\d+)/.exec((await one.ask('GET', '/metrics', { role: 'none' })).text)?.[1]);
    await until(async () => (await waiting()) === 1, 'the poll waits');
    gone.abort();
    await held;
    await until(async () => (await waiting()) === 0, 'the poll is let go');
  });

  it('shows a proxy of the other replica, and waits for its acknowledgement', async () => {
    const has = await etagOf(two.poll({ name: 'acker' }));
    const held = two.poll({ name: 'acker', has, wait: 10 });
    await sleep(50);
    const applied = await one.put('acked', forFrontend);
    assert.ok((applied.body.proxies as string[]).length >= 0);
    const revision = (applied.headers.get('etag') ?? '').replaceAll('"', '');
    const rollout = one.ask('GET', `/v1/rollout?revision=${revision}&policy=acked`, { headers: { prefer: 'wait=5' } });
    const fresh = (await held).headers.get('etag') ?? '';
    assert.equal(await Promise.race([rollout, sleep(400)]), undefined, 'answered before the proxy of the other replica acknowledged');
    void two.poll({ name: 'acker', has: fresh, wait: 3 });
    void one.poll({ name: 'f', has: fresh, wait: 3 });
    void two.poll({ name: 'f', has: fresh, wait: 3 });
    const { items } = (await one.ask('GET', '/v1/proxies')).body as { items: { name: string; replica: string; selectedBy: string[] }[] };
    assert.deepEqual(items.find(({ name }) => name === 'acker')?.selectedBy, ['acked']);
    const reply = await rollout;
    assert.equal(reply.status, 200, reply.text);
    const state = reply.body as { proxies: { name: string; acknowledged: boolean }[]; incomplete: string[] };
    assert.equal(state.proxies.find(({ name }) => name === 'acker')?.acknowledged, true, reply.text);
    assert.deepEqual(state.incomplete, []);
    await one.ask('DELETE', '/v1/policies/acked');
  });

  it('is done with a rollout as soon as a proxy that polls another replica each time has acknowledged', async () => {
    const has = await etagOf(two.poll({ name: 'wanderer', namespace: 'wandering' }));
    const held = two.poll({ name: 'wanderer', namespace: 'wandering', has, wait: 10 });
    await sleep(50);
    const applied = await one.put('wander', { selector: { namespace: 'wandering' }, rules: [{ fault }] });
    const revision = (applied.headers.get('etag') ?? '').replaceAll('"', '');
    const fresh = await etagOf(held);
    for (const asked of [one, two]) {
      const begun = performance.now();
      const rollout = asked.ask('GET', `/v1/rollout?revision=${revision}&policy=wander`, { headers: { prefer: 'wait=5' } });
      if (asked === one) void one.poll({ name: 'wanderer', namespace: 'wandering', has: fresh, wait: 3 });
      assert.equal((await rollout).body.done, true);
      assert.ok(performance.now() - begun < 1000, `${performance.now() - begun} ms`);
    }
    await one.ask('DELETE', '/v1/policies/wander');
  });

  it('never goes back to older policies: a replica that has not seen what another told of waits until it has', async () => {
    const where = { name: 'hopper', namespace: 'hopping' };
    const first = await one.poll(where);
    assert.ok(Number(first.headers.get('x-hfi-revision')) > 0);
    await one.put('hop', { selector: { namespace: 'hopping' }, rules: [{ fault }] });
    let fresh = await one.poll(where);
    for (let i = 0; i < 20 && fresh.headers.get('etag') === first.headers.get('etag'); i++) fresh = await one.poll(where);
    // Etcd writes no policy here, so this revision comes only with the next change.
    const ahead = Number(fresh.headers.get('x-hfi-revision')) + 1;
    let answered = false;
    const waiting = two.poll({ ...where, headers: { 'x-hfi-revision': String(ahead) } }).then((reply) => {
      answered = true;
      return reply;
    });
    await sleep(300);
    assert.equal(answered, false, 'answered before it had seen the change');
    const begun = performance.now();
    await one.put('hop', { selector: { namespace: 'hopping' }, priority: 1, rules: [{ fault: { abort: { httpStatus: 500 } } }] });
    const reply = await waiting;
    assert.ok(performance.now() - begun < 500);
    assert.notEqual(reply.headers.get('etag'), fresh.headers.get('etag'));
  });

  it('a replica that was just started tells of what is gone too, so that no other one that is behind brings it back', async function () {
    this.timeout(20_000);
    await one.put('gone', { selector: { namespace: 'forgetting' }, rules: [{ fault }] });
    const { body } = await one.ask('DELETE', '/v1/policies/gone');
    const third = await Replica.start(processes, etcd.url);
    const { headers } = await third.poll({ name: 'forgetter', namespace: 'forgetting' });
    assert.ok(Number(headers.get('x-hfi-revision')) >= Number(body.resourceVersion), `${headers.get('x-hfi-revision')}`);
    await third.kill('SIGTERM');
  });

  it('does not wait for ever for a revision that never comes, as after a restore', async function () {
    this.timeout(10_000);
    const begun = performance.now();
    const reply = await two.poll({ name: 'restored', headers: { 'x-hfi-revision': '999999999' } });
    assert.equal(reply.status, 200);
    assert.ok(performance.now() - begun > 1500);
    assert.ok(Number(reply.headers.get('x-hfi-revision')) < 999_999_999);
  });

  it('names a selected proxy that is not connected, and does not wait for it', async () => {
    await one.poll({ name: 'left', namespace: 'leaving', headers: { 'x-hfi-lease-ms': '1000' } });
    const { body } = await one.put('of-who-left', { selector: { namespace: 'leaving' }, rules: [{ fault }] });
    const revision = (body.policy as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
    await sleep(1200);
    const reply = await two.ask('GET', `/v1/rollout?revision=${revision}&policy=of-who-left`, { headers: { prefer: 'wait=5' } });
    assert.deepEqual([reply.body.done, reply.body.selected, reply.body.disconnected], [true, 0, ['left']]);
  });

  it('knows no rollout of a policy that is gone, nor of one that never was', async () => {
    const applied = await one.put('brief', forFrontend);
    const deleted = await one.ask('DELETE', '/v1/policies/brief');
    const revision = Number((applied.headers.get('etag') ?? '').replaceAll('"', '')) + 1;
    for (const name of ['brief', 'never']) {
      for (const replica of [one, two]) {
        const reply = await replica.ask('GET', `/v1/rollout?revision=${revision}&policy=${name}`, { headers: { prefer: 'wait=2' } });
        assert.deepEqual([reply.status, reply.body.code], [404, 'not-found'], deleted.text);
      }
    }
  });

  it('gives a proxy of unreadable identity nothing, and shows it', async () => {
    await one.put('everybody', { rules: [{ fault }] });
    const empty = await etagOf(one.poll({ name: 'nobody', headers: { 'x-hfi-unreadable': 'namespace' } }));
    await until(async () => (await etagOf(one.poll({ name: 'somebody' }))) !== empty, 'others get the fault');
    assert.equal(await etagOf(one.poll({ name: 'nobody', headers: { 'x-hfi-unreadable': 'namespace' } })), empty);
    const { items } = (await two.ask('GET', '/v1/proxies')).body as { items: { name: string; unreadable: string[] }[] };
    assert.deepEqual(items.find(({ name }) => name === 'nobody')?.unreadable, ['namespace']);
    await one.ask('DELETE', '/v1/policies/everybody');
  });

  it('refuses a filter that reads another layout, and shows what a proxy refused', async () => {
    assert.equal((await one.poll({ name: 'old', headers: { 'x-hfi-layout': '99' } })).status, 409);
    await one.poll({ name: 'refuser', headers: { 'x-hfi-refused': '3;checksum differs' } });
    const { items } = (await one.ask('GET', '/v1/proxies')).body as { items: { name: string; layoutFits: boolean; refused: unknown }[] };
    assert.equal(items.find(({ name }) => name === 'old')?.layoutFits, false);
    assert.deepEqual(items.find(({ name }) => name === 'refuser')?.refused, { count: 3, reason: 'checksum differs' });
  });

  it('answers held polls and rollouts when it is told to end, and ends', async function () {
    this.timeout(10_000);
    const has = await etagOf(two.poll({ name: 'ending' }));
    const held = two.poll({ name: 'ending', has, wait: 30, headers: { 'x-hfi-acknowledged': 'earlier' } });
    const rollout = two.ask('GET', '/v1/rollout?revision=1', { headers: { prefer: 'wait=30' } });
    await sleep(50);
    const begun = performance.now();
    await two.kill('SIGTERM');
    assert.equal((await held).status, 304);
    assert.equal((await rollout).body.done, false);
    assert.ok(performance.now() - begun < 3000);
    assert.equal(two.child.exitCode, 0);
  });
});
