import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const fault = { abort: { httpStatus: 503 } };
const spec = { rules: [{ fault }] };

interface Proxies {
  readonly items: readonly { name: string; replica: string; connected: boolean }[];
  readonly incomplete: readonly string[];
}

describe('API: two replicas as one', function () {
  this.timeout(30_000);
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
    await until(async () => {
      await two.poll({ name: 'probe' });
      return (await proxiesAt(one)).items.some(({ name }) => name === 'probe');
    }, 'the replicas know each other');
  });
  after(() => processes.end());

  async function proxiesAt(replica: Replica): Promise<Proxies> {
    return (await replica.ask('GET', '/v1/proxies')).body as unknown as Proxies;
  }

  it('a write at one is read at the other at once', async () => {
    for (let i = 0; i < 20; i++) {
      const written = await one.put('read', { ...spec, priority: i });
      const read = await two.ask('GET', '/v1/policies/read');
      assert.equal(read.headers.get('etag'), written.headers.get('etag'));
    }
    await one.ask('DELETE', '/v1/policies/read');
    assert.equal((await two.ask('GET', '/v1/policies/read')).status, 404);
  });

  it('of writers at both that saw the same version, exactly one wins', async () => {
    let etag = (await one.put('race', spec)).headers.get('etag') ?? '';
    for (let round = 1; round <= 10; round++) {
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          (i % 2 === 0 ? one : two).put('race', { ...spec, priority: round * 100 + i }, { 'if-match': etag }),
        ),
      );
      const won = replies.filter(({ status }) => status === 200);
      assert.equal(won.length, 1);
      assert.equal(replies.filter(({ status }) => status === 412).length, 49);
      etag = won[0]?.headers.get('etag') ?? '';
    }
    await one.ask('DELETE', '/v1/policies/race');
  });

  it('a proxy that moves is listed once, at the replica that it polls now', async () => {
    await one.poll({ name: 'mover' });
    await sleep(20);
    await two.poll({ name: 'mover' });
    for (const replica of [one, two]) {
      const found = (await proxiesAt(replica)).items.filter(({ name }) => name === 'mover');
      assert.deepEqual(
        found.map((proxy) => proxy.replica),
        ['two'],
      );
    }
  });

  it('since when a proxy runs its version is when the first of them heard so', async () => {
    interface Rolled {
      readonly proxies: readonly { readonly name: string; readonly version: string; readonly since: string | null }[];
    }
    const shown = async (replica: Replica): Promise<[string | undefined, string | null | undefined]> => {
      const { proxies } = (await replica.ask('GET', '/v1/rollout?revision=1')).body as unknown as Rolled;
      const found = proxies.find(({ name }) => name === 'long');
      return [found?.version, found?.since];
    };
    const first = (await one.poll({ name: 'long', namespace: 'long' })).headers.get('etag') ?? '';
    assert.deepEqual(await shown(one), ['', null]);
    await one.poll({ name: 'long', namespace: 'long', has: first });
    const [version, since] = await shown(one);
    assert.equal(`"${version}"`, first);
    assert.ok(Math.abs(Date.parse(since ?? '') - Date.now()) < 2000);
    await sleep(20);
    for (const replica of [two, one, two]) await replica.poll({ name: 'long', namespace: 'long', has: first });
    for (const replica of [one, two]) assert.deepEqual(await shown(replica), [version, since]);

    await one.put('long', { ...spec, selector: { namespace: 'long' } });
    await until(
      async () => (await two.poll({ name: 'long', namespace: 'long' })).headers.get('etag') !== first,
      'there is another ruleset',
    );
    const next = (await two.poll({ name: 'long', namespace: 'long' })).headers.get('etag') ?? '';
    await two.poll({ name: 'long', namespace: 'long', has: next });
    const [newer, later] = await shown(one);
    assert.equal(`"${newer}"`, next);
    assert.ok((later ?? '') > (since ?? 'z'), `${later} after ${since}`);
    await one.ask('DELETE', '/v1/policies/long');
  });

  it('both count the proxies of both', async () => {
    await Promise.all([one.poll({ name: 'left' }), two.poll({ name: 'right' })]);
    const counts = await Promise.all([one, two].map(async (replica) => (await replica.ask('GET', '/v1/status')).body));
    assert.deepEqual(counts[0]?.proxies, counts[1]?.proxies);
    const connected = (await proxiesAt(one)).items.filter((proxy) => proxy.connected).length;
    assert.equal((counts[0]?.proxies as { connected: number } | undefined)?.connected, connected);
  });

  it('a dry run names the proxies of both', async () => {
    await Promise.all([one.poll({ name: 'dry-1', namespace: 'dry' }), two.poll({ name: 'dry-2', namespace: 'dry' })]);
    for (const replica of [one, two]) {
      const reply = await replica.ask('POST', '/v1/policies?dryRun=true', {
        body: { metadata: { name: 'dry' }, spec: { ...spec, selector: { namespace: 'dry' } } },
      });
      assert.deepEqual(reply.body.proxies, ['dry-1', 'dry-2']);
    }
  });

  it('the end of a policy is audited once, with the time of its end', async () => {
    const selector = { namespace: 'ends' };
    const applied = await one.put('short', { selector, rules: [{ fault: { ...fault, duration_seconds: 1 } }] });
    const { endsAt } = (applied.body.policy as { status: { endsAt: string } }).status;
    const ends = async () =>
      ((await two.ask('GET', '/v1/audit?limit=100')).body.items as { action: string; policy: string; time: string }[]).filter(
        ({ action, policy }) => action === 'end' && policy === 'short',
      );
    await until(async () => (await ends()).length > 0, 'the end is audited', 5000);
    // Time for the other replica to note it too.
    await sleep(500);
    assert.deepEqual(
      (await ends()).map(({ time }) => new Date(time).toISOString()),
      [endsAt],
    );
  });

  it('a replica that hangs is named as missing, the answer comes in time, and a rollout is not done without it', async () => {
    two.child.kill('SIGSTOP');
    try {
      const begun = performance.now();
      const [list, rollout] = await Promise.all([proxiesAt(one), one.ask('GET', '/v1/rollout?revision=1')]);
      assert.ok(performance.now() - begun < 3000, `${Math.round(performance.now() - begun)} ms`);
      assert.deepEqual([list.incomplete, rollout.body.incomplete, rollout.body.done], [['two'], ['two'], false]);
    } finally {
      two.child.kill('SIGCONT');
    }
    await until(async () => (await proxiesAt(one)).incomplete.length === 0, 'it is asked again');
  });

  it('a replica that ends in order is missed by none', async () => {
    await two.kill('SIGTERM');
    await until(async () => (await proxiesAt(one)).incomplete.length === 0, 'it left the list', 2000);
  });

  it('a replica that was killed is forgotten', async () => {
    const three = await Replica.start(processes, etcd.url, { replica: 'three' });
    await until(async () => {
      await three.poll({ name: 'probe-3' });
      return (await proxiesAt(one)).items.some(({ name }) => name === 'probe-3');
    }, 'the third is known');
    await three.kill('SIGKILL');
    assert.deepEqual((await proxiesAt(one)).incomplete, ['three']);
    await until(async () => (await proxiesAt(one)).incomplete.length === 0, 'it is forgotten', 20_000);
  });
});
