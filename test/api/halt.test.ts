import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { makeClient } from '../../services/control-plane/store/client.ts';
import { EtcdHalts } from '../../services/control-plane/store/etcd-halts.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const none = undefined;
const rules = [{ fault: { abort: { httpStatus: 503 } } }];
const forDemo = { selector: { namespace: 'demo' }, rules };

interface HaltShown {
  readonly namespace: string | null;
  readonly by: { readonly name: string; readonly role: string };
  readonly since: string;
  readonly reason: string;
  readonly kept: boolean;
}

describe('API: halt, two replicas', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let one: Replica;
  let two: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    [one, two] = await Promise.all([
      Replica.start(processes, etcd.url, { replica: 'one' }),
      Replica.start(processes, etcd.url, { replica: 'two' }),
    ]);
  });
  after(() => processes.end());

  const halt = (replica: Replica, body: object = {}) => replica.ask('POST', '/v1/halt', { body, role: 'editor' });
  const resume = (replica: Replica, query = '') => replica.ask('DELETE', `/v1/halt${query}`);
  const etagOf = (reply: Reply): string => reply.headers.get('etag') ?? '';
  const haltsAt = async (replica: Replica): Promise<HaltShown[]> => (await replica.ask('GET', '/v1/halt')).body.halts as HaltShown[];

  /** No test leaves a halt or a policy to the next. */
  afterEach(async () => {
    for (const { namespace } of await haltsAt(one)) await resume(one, namespace === null ? '' : `?namespace=${namespace}`);
    for (const replica of [one, two]) await until(async () => (await haltsAt(replica)).length === 0, 'nothing is halted');
    const { items } = (await one.ask('GET', '/v1/policies?limit=100')).body as { items: { metadata: { name: string } }[] };
    for (const { metadata } of items) await one.ask('DELETE', `/v1/policies/${metadata.name}`);
  });

  /** A proxy's ruleset at a replica that has seen everything. */
  async function settled(replica: Replica, name: string, namespace = 'demo'): Promise<string> {
    const { revision } = (await replica.ask('GET', '/v1/status')).body.etcd as { revision: number };
    return etagOf(await replica.poll({ name, namespace, headers: { 'x-hfi-revision': String(revision) } }));
  }

  it('wakes the proxies of both with the same rules and the flag; a resume brings back the very version before', async () => {
    await one.put('p', forDemo);
    const revision = String((await one.ask('GET', '/v1/policies/p')).headers.get('etag')).replaceAll('"', '');
    const held = await Promise.all(
      [one, two].map(async (replica, i) => {
        const before = await replica.poll({ name: `woken-${i}`, headers: { 'x-hfi-revision': revision } });
        return { before, answer: replica.poll({ name: `woken-${i}`, has: etagOf(before), wait: 10 }) };
      }),
    );
    const begun = performance.now();
    const reply = await halt(one, { reason: 'checkout is down' });
    assert.deepEqual([reply.status, reply.body.result, reply.body.incomplete], [200, 'halted', []]);
    assert.match(String(reply.body.resourceVersion), /^\d+$/);
    const answers = await Promise.all(held.map(({ answer }) => answer));
    assert.ok(performance.now() - begun < 500);
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.status, 200);
      assert.notEqual(etagOf(answer), etagOf(held[i]?.before as Reply));
      assert.equal(answer.text.length > 0, true);
    }
    assert.equal(etagOf(answers[0] as Reply), etagOf(answers[1] as Reply));
    const resumed = await resume(two);
    assert.deepEqual([resumed.status, resumed.body.result, resumed.body.halts], [200, 'resumed', []]);
    await until(async () => (await settled(two, 'woken-1')) === etagOf(held[1]?.before as Reply), 'the version before');
  });

  it('tells both replicas who, since when and why, and shows it in the status and the metrics', async () => {
    const { body } = await halt(one, { reason: 'checkout is down' });
    const shown = body.halt as HaltShown;
    assert.deepEqual(
      [shown.namespace, shown.by, shown.reason, shown.kept],
      [null, { name: 'the-editor', role: 'editor' }, 'checkout is down', true],
    );
    assert.ok(Math.abs(Date.parse(shown.since) - Date.now()) < 5000);
    for (const replica of [one, two]) {
      await until(async () => (await haltsAt(replica)).length === 1, 'it is known');
      const { body: all } = await replica.ask('GET', '/v1/halt', { role: 'viewer' });
      assert.deepEqual(all, { halted: true, halts: [shown] });
      assert.deepEqual((await replica.ask('GET', '/v1/status')).body.halts, [shown]);
      const metrics = (await replica.ask('GET', '/metrics', { role: 'none' })).text;
      assert.match(metrics, /^hfi_halted\{scope="all"\} 1$/m);
      assert.match(metrics, /^hfi_halted\{scope="namespaces"\} 0$/m);
      assert.match(metrics, /^hfi_halts_unkept 0$/m);
    }
  });

  it('needs no body, and takes no more of one than it knows', async () => {
    const bare = await one.ask('POST', '/v1/halt', { role: 'editor' });
    assert.deepEqual([bare.status, (bare.body.halt as HaltShown).reason], [200, '']);
    assert.equal((await one.ask('POST', '/v1/halt', { body: '{}', headers: { 'content-type': 'text/plain' } })).status, 415);
    assert.equal((await halt(one, { namespaces: 'demo' })).status, 400);
    for (const namespace of ['', 'a/b', 'Demo', 'x'.repeat(64)]) assert.equal((await halt(one, { namespace })).status, 400, namespace);
    assert.equal((await halt(one, { reason: 'x'.repeat(1001) })).status, 400);
  });

  it('a second halt keeps the first, at whichever replica, also when both come at once', async () => {
    await halt(one, { reason: 'first' });
    const second = await two.ask('POST', '/v1/halt', { body: { reason: 'second' } });
    const { result, halt: shown } = second.body as { result: string; halt: HaltShown };
    assert.deepEqual([second.status, result, shown.reason, shown.by.name], [200, 'unchanged', 'first', 'the-editor']);
    await resume(one);
    await until(async () => (await haltsAt(two)).length === 0, 'resumed');
    const both = await Promise.all([one, two, one, two].map((replica, i) => halt(replica, { reason: `race-${i}` })));
    assert.deepEqual(
      both.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    assert.equal(both.filter(({ body }) => body.result === 'halted').length, 1);
    assert.equal(new Set(both.map(({ body }) => (body.halt as HaltShown).reason)).size, 1);
    const audited = (await one.ask('GET', '/v1/audit?limit=100')).body.items as { action: string; halt?: { reason: string } }[];
    assert.equal(audited.filter(({ action, halt: about }) => action === 'halt' && about?.reason.startsWith('race')).length, 1);
  });

  it('a second halt that is kept when all was resumed already does not halt again', async () => {
    const client = makeClient({ endpoints: [etcd.url], username: none, password: none, caFile: none, certFile: none, keyFile: none });
    const store = new EtcdHalts(client, systemRuntime);
    const by = { name: 'x', role: 'editor' };
    const wanted = (id: string) => ({ id, namespace: 'late', by, address: '', time: Date.now(), reason: id });
    try {
      assert.equal((await store.keep(wanted('first'))).halt?.id, 'first');
      assert.equal((await store.keep(wanted('second'))).halt?.id, 'first');
      await store.lift('late', { actor: by, address: '', time: Date.now() });
      for (const id of ['first', 'second']) assert.equal((await store.keep(wanted(id))).halt, undefined, id);
      assert.equal((await store.keep(wanted('third'))).halt?.id, 'third');
      await store.lift('late', { actor: by, address: '', time: Date.now() });
    } finally {
      client.close();
    }
  });

  it('refuses every new or changed policy while everything is halted, at both replicas; deletes go through', async () => {
    await one.put('before', forDemo);
    await halt(one, { reason: 'checkout is down' });
    for (const replica of [one, two]) {
      const refused = [
        await replica.put('before', { ...forDemo, priority: 1 }),
        await replica.put('before', forDemo),
        await replica.put('new', forDemo),
        await replica.put('new-everywhere', { rules }),
        await replica.ask('POST', '/v1/policies', { body: { metadata: { name: 'posted' }, spec: forDemo } }),
        await replica.ask('POST', '/v1/policies?dryRun=true', { body: { metadata: { name: 'dry' }, spec: forDemo } }),
      ];
      for (const reply of refused) {
        assert.deepEqual([reply.status, reply.body.code], [423, 'halted'], reply.text);
        const detail = String(reply.body.detail);
        assert.match(
          detail,
          /^Everything is halted by the-editor since 20\S+Z \("checkout is down"\); .* until an admin resumes: hfi resume\.$/,
        );
      }
    }
    assert.equal((await two.ask('DELETE', '/v1/policies/before')).status, 200);
    const { items } = (await one.ask('GET', '/v1/policies')).body as { items: unknown[] };
    assert.equal(items.length, 0);
    await resume(one);
    await until(async () => (await two.put('after', forDemo)).status === 201, 'applied again');
  });

  it('a policy never comes after a halt, whatever a replica has seen of it', async () => {
    for (let round = 0; round < 10; round++) {
      // The halt goes to one, the policies to two, all at the same time.
      const [halted, ...writes] = await Promise.all([
        halt(one),
        ...Array.from({ length: 20 }, (_, i) => two.put(`race-${round}-${i}`, forDemo)),
      ]);
      const at = Number(halted?.body.resourceVersion);
      for (const reply of writes) {
        if (reply.status === 423) continue;
        const { resourceVersion } = (reply.body.policy as { metadata: { resourceVersion: string } }).metadata;
        assert.ok(reply.status === 201 && Number(resourceVersion) < at, `${reply.status} at ${resourceVersion}, halted at ${at}`);
      }
      await resume(one);
      await until(async () => (await haltsAt(two)).length === 0, 'resumed');
    }
  });

  it('of a namespace: halts its proxies alone, and refuses what could select them', async () => {
    await one.put('p', forDemo);
    await one.put('q', { selector: { namespace: 'other' }, rules });
    const [demo, other] = [await settled(two, 'in-demo'), await settled(two, 'in-other', 'other')];
    const bystander = two.poll({ name: 'in-other', namespace: 'other', has: other, wait: 2 });
    await halt(one, { namespace: 'demo', reason: 'only here' });
    await until(async () => (await settled(two, 'in-demo')) !== demo, 'demo is halted');
    assert.equal((await bystander).status, 304);
    assert.equal((await two.ask('GET', '/v1/halt')).body.halted, false);
    const refused = await Promise.all(
      [forDemo, { rules }, { selector: { namespace: '*' }, rules }].map((spec, i) => two.put(`refused-${i}`, spec)),
    );
    for (const reply of refused) {
      assert.equal(reply.status, 423, reply.text);
      assert.match(String(reply.body.detail), /^The namespace "demo" is halted by .*: hfi resume --namespace demo\.$/);
    }
    assert.equal((await two.put('q', { selector: { namespace: 'other' }, priority: 1, rules })).status, 200);
    const metrics = (await two.ask('GET', '/metrics', { role: 'none' })).text;
    assert.match(metrics, /^hfi_halted\{scope="namespaces"\} 1$/m);
    const wrong = await resume(one);
    assert.deepEqual([wrong.status, wrong.body.result, (wrong.body.halts as HaltShown[])[0]?.namespace], [200, 'unchanged', 'demo']);
    assert.notEqual(await settled(two, 'in-demo'), demo);
    assert.equal((await resume(one, '?namespace=demo')).body.result, 'resumed');
    await until(async () => (await settled(two, 'in-demo')) === demo, 'demo goes on');
  });

  it('a proxy that says nothing of where it is is halted with everything', async () => {
    const poll = () => two.poll({ name: 'lost', namespace: '', headers: { 'x-hfi-unreadable': 'namespace' } });
    const before = etagOf(await poll());
    await halt(one);
    await until(async () => etagOf(await poll()) !== before, 'it is halted');
  });

  it('a policy that is deleted, and one that ends, while halted: the proxies stay halted', async () => {
    await one.put('brief', { selector: { namespace: 'demo' }, rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: 1 } }] });
    await one.put('goner', forDemo);
    await halt(one);
    await one.ask('DELETE', '/v1/policies/goner');
    const empty = etagOf(await one.poll({ name: 'nobody', namespace: 'elsewhere' }));
    // Halted and without any rule: what a proxy runs in the end, here and where no policy ever was.
    await until(async () => (await settled(one, 'stays')) === empty, 'nothing is left', 5000);
    await resume(one);
    await until(async () => (await settled(one, 'stays')) !== empty, 'resumed');
  });

  it('only an admin resumes; resuming what is not halted changes nothing', async () => {
    await halt(one);
    for (const role of ['editor', 'viewer', 'proxy'] as const) {
      assert.equal((await one.ask('DELETE', '/v1/halt', { role })).status, 403, role);
      assert.equal((await haltsAt(one)).length, 1);
    }
    assert.equal((await resume(one)).body.result, 'resumed');
    const again = await resume(one);
    assert.deepEqual([again.status, again.body.result, again.body.halt], [200, 'unchanged', null]);
    assert.equal((await resume(one, '?namespace=a/b')).status, 400);
    assert.equal((await resume(one, '?name=demo')).status, 400);
  });

  it('audits halt and resume: who, from where, what and why', async () => {
    await halt(one, { namespace: 'demo', reason: 'checkout is down' });
    await resume(two, '?namespace=demo');
    const { items } = (await one.ask('GET', '/v1/audit?limit=2')).body as {
      items: { action: string; actor: { name: string }; address: string; policy: string; halt: unknown; before: null; after: null }[];
    };
    assert.deepEqual(
      items.map(({ action, actor, policy, halt: about, before, after }) => [action, actor.name, policy, about, before, after]),
      [
        ['resume', 'the-admin', '', { namespace: 'demo', reason: 'checkout is down' }, null, null],
        ['halt', 'the-editor', '', { namespace: 'demo', reason: 'checkout is down' }, null, null],
      ],
    );
    for (const { address } of items) assert.match(address, /127\.0\.0\.1/);
  });

  it('a rollout of the halt is done when every proxy of both has acknowledged it, and says whose lease runs still', async () => {
    await one.put('p', { selector: { namespace: 'rolling' }, rules });
    const where = (replica: Replica, i: number, has?: string, wait = 0) =>
      replica.poll({ name: `rolled-${i}`, namespace: 'rolling', wait, ...(has === undefined ? {} : { has }) });
    const before = await Promise.all([one, two].map(async (replica, i) => etagOf(await where(replica, i))));
    const held = [one, two].map((replica, i) => where(replica, i, before[i], 10));
    const { body } = await halt(one, { namespace: 'rolling' });
    const ask = (wait: number) =>
      two.ask('GET', `/v1/rollout?revision=${body.resourceVersion}&halted=true&namespace=rolling`, { headers: { prefer: `wait=${wait}` } });
    const answers = await Promise.all(held);
    const first = (await ask(0)).body as { done: boolean; selected: number; leases: { name: string; endsAt: string }[] };
    assert.deepEqual([first.done, first.selected], [false, 2]);
    assert.deepEqual(
      first.leases.map(({ name }) => name),
      ['rolled-0', 'rolled-1'],
    );
    for (const { endsAt } of first.leases) assert.ok(Math.abs(Date.parse(endsAt) - Date.now() - 60_000) < 3000, endsAt);
    const waiting = ask(5);
    void where(one, 0, etagOf(answers[0] as Reply), 3);
    assert.equal(await Promise.race([waiting, sleep(300)]), undefined, 'one has not acknowledged');
    void where(two, 1, etagOf(answers[1] as Reply), 3);
    const done = (await waiting).body as { done: boolean; acknowledged: number; leases: unknown[] };
    assert.deepEqual([done.done, done.acknowledged, done.leases], [true, 2, []]);
  });

  it('is never taken back by a replica that has not seen it: the answer tells of its revision, as of a change', async () => {
    const { body } = await halt(one);
    const told = await one.poll({ name: 'told' });
    assert.equal(told.headers.get('x-hfi-revision'), body.resourceVersion);
    const resumed = await resume(one);
    await until(
      async () => (await one.poll({ name: 'told' })).headers.get('x-hfi-revision') === resumed.body.resourceVersion,
      'told of the resume',
    );
  });

  it('names the lease of a proxy that went away, until it ends, unless it had acknowledged before', async () => {
    const where = (name: string) => ({ name, namespace: 'leaving', headers: { 'x-hfi-lease-ms': '8000' } });
    /** Its connection breaks while it waits. */
    const leave = async (name: string, has: string): Promise<void> => {
      const gone = new AbortController();
      const held = one.poll({ ...where(name), has, wait: 30, signal: gone.signal }).catch(() => undefined);
      await sleep(100);
      gone.abort();
      await held;
    };
    await leave('left', etagOf(await one.poll(where('left'))));
    const { body } = await halt(one, { namespace: 'leaving' });
    await leave('left-halted', etagOf(await one.poll(where('left-halted'))));
    const ask = async () =>
      (await two.ask('GET', `/v1/rollout?revision=${body.resourceVersion}&halted=true&namespace=leaving`)).body as {
        disconnected: string[];
        leases: { name: string }[];
      };
    await until(async () => (await ask()).disconnected.length === 2, 'both are gone');
    const at = (await ask()).leases.map(({ name }) => name);
    assert.deepEqual(at, ['left']);
    await until(async () => (await ask()).leases.length === 0, 'its lease has ended', 12_000);
    assert.deepEqual((await ask()).disconnected, ['left', 'left-halted']);
  });

  it('does not count a proxy whose replica has not heard of the halt', async () => {
    const has = etagOf(await two.poll({ name: 'unaware', namespace: 'quiet' }));
    void two.poll({ name: 'unaware', namespace: 'quiet', has, wait: 2 });
    const ask = async (query: string) => (await one.ask('GET', `/v1/rollout?revision=0&namespace=quiet${query}`)).body;
    await until(async () => (await ask('')).done === true, 'it runs what it should');
    const { done, proxies } = (await ask('&halted=true')) as { done: boolean; proxies: { reason: string }[] };
    assert.deepEqual([done, proxies[0]?.reason], [false, 'its replica has not heard of the halt']);
  });

  it('does not go on answering a proxy that refused to be halted, so that its lease ends', async () => {
    const where = { name: 'refuser', namespace: 'refusing' };
    const before = etagOf(await one.poll(where));
    await halt(one, { namespace: 'refusing' });
    const refused = { ...where, has: before, headers: { 'x-hfi-refused': '1;too large' } };
    const first = await one.poll({ ...where, has: before });
    assert.equal(first.status, 200);
    for (let i = 0; i < 3; i++) assert.deepEqual([(await one.poll(refused)).status], [409]);
    // One that only lost the answer gets it again, and one that refused something else before too.
    assert.equal((await one.poll({ ...where, has: before })).status, 200);
    assert.equal((await one.poll({ ...refused, name: 'other' })).status, 200);
    assert.equal((await one.poll({ ...refused, name: 'other' })).status, 200);
    assert.equal((await one.poll({ ...refused, has: etagOf(first) })).status, 304);
    await resume(one, '?namespace=refusing');
    await until(async () => (await one.poll(refused)).status !== 409, 'it is answered again');
  });

  it('is not answered to a filter of another layout, which its lease ends', async () => {
    await halt(one);
    const reply = await one.poll({ name: 'old', headers: { 'x-hfi-layout': String(LAYOUT_VERSION - 1) } });
    assert.equal(reply.status, 409);
  });
});
