import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyText, runKey } from '../../services/control-plane/ruleset/rule-key.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const fault = { abort: { httpStatus: 503 } };
const rules = [{ fault }];

interface PolicyCounts {
  readonly total: { readonly injected: number };
  readonly rules: readonly { readonly limitReached: boolean }[];
  readonly proxies: readonly { readonly name: string }[];
  readonly incomplete: readonly string[];
}

/** Applies a policy. @returns the key of its first rule */
async function apply(replica: Replica, name: string, spec: PolicyInput['spec']): Promise<string> {
  const { body } = await replica.put(name, spec);
  const { metadata } = body.policy as { metadata: { appliedAt: string; resourceVersion: string } };
  assert.equal((await replica.ask('GET', `/v1/policies/${name}/counts?revision=${metadata.resourceVersion}`)).status, 200);
  return keyText(runKey(name, Date.parse(metadata.appliedAt)));
}

/** What a proxy counted of one rule. @param token the stack's own proxy token when not given */
function report(replica: Replica, proxy: string, namespace: string, key: string, injected: number, token?: string): Promise<Reply> {
  return replica.ask('POST', '/v1/reports', {
    role: token === undefined ? 'proxy' : 'none',
    body: { rules: [{ key, injected }] },
    headers: {
      'x-hfi-proxy': proxy,
      'x-hfi-namespace': namespace,
      'x-hfi-labels': 'app=api',
      'x-hfi-epoch': '00000000000000aa',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });
}

async function countsOf(replica: Replica, name: string): Promise<PolicyCounts> {
  const reply = await replica.ask('GET', `/v1/policies/${name}/counts`);
  assert.equal(reply.status, 200, reply.text);
  return reply.body as unknown as PolicyCounts;
}

describe('API: who may tell and read counts', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let one: Replica;
  let two: Replica;
  let proxy: string;
  let viewer: string;
  const keys: Record<string, string> = {};

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    [one, two] = await Promise.all([
      Replica.start(processes, etcd.url, { replica: 'one' }),
      Replica.start(processes, etcd.url, { replica: 'two' }),
    ]);
    const make = async (role: string): Promise<string> =>
      String((await one.ask('POST', '/v1/tokens', { body: { name: `demo-${role}`, role, namespaces: ['demo'] } })).body.token);
    [proxy, viewer] = [await make('proxy'), await make('viewer')];
    for (const [name, selector] of Object.entries({
      'in-demo': { namespace: 'demo' },
      'in-shop': { namespace: 'shop' },
      anywhere: {},
      star: { namespace: '*' },
    })) {
      keys[name] = await apply(one, name, { selector, rules });
    }
    assert.equal((await one.poll({ name: 'shop-1', namespace: 'shop' })).status, 200);
    for (const replica of [one, two]) {
      await until(async () => (await reads('in-demo', replica)).status === 200, 'the tokens and policies are known', 5000);
      await until(async () => (await countsOf(replica, 'in-demo')).incomplete.length === 0, 'the replicas know each other', 5000);
    }
  });
  after(() => processes.end());

  function reads(name: string, replica = one, query = ''): Promise<Reply> {
    return replica.ask('GET', `/v1/policies/${name}/counts${query}`, { role: 'none', headers: { authorization: `Bearer ${viewer}` } });
  }

  it('a token of a namespace reports for proxies of it, and another reads that at every replica', async () => {
    assert.equal((await report(one, 'demo-1', 'demo', keys['in-demo'] ?? '', 3, proxy)).status, 204);
    assert.equal((await report(two, 'demo-2', 'demo', keys['in-demo'] ?? '', 4, proxy)).status, 204);
    for (const replica of [one, two]) {
      const { status, body } = await reads('in-demo', replica);
      const { total, proxies, incomplete } = body as unknown as PolicyCounts;
      assert.deepEqual([status, total.injected, incomplete], [200, 7, []]);
      assert.deepEqual(
        proxies.map(({ name }) => name),
        ['demo-1', 'demo-2'],
      );
    }
  });

  const foreign: [string, string, string][] = [
    ['of another namespace', 'spy', 'shop'],
    ['whose node id says another namespace', 'sidecar~10.0.0.7~x.demo.shop~shop.svc.cluster.local', 'demo'],
    ['whose name a proxy of another namespace has', 'shop-1', 'demo'],
  ];
  for (const [what, name, namespace] of foreign) {
    it(`it reports nothing for a proxy ${what}`, async () => {
      for (const policy of ['in-demo', 'in-shop', 'anywhere']) {
        const before = (await countsOf(one, policy)).total.injected;
        const reply = await report(one, name, namespace, keys[policy] ?? '', 50, proxy);
        assert.deepEqual([reply.status, reply.body.code], [403, 'forbidden'], policy);
        const { total, proxies } = await countsOf(one, policy);
        assert.equal(total.injected, before);
        assert.ok(!proxies.some((one) => one.name === name));
      }
    });
  }

  it('it reports nothing of a policy for another namespace, and nothing at all without saying its own', async () => {
    assert.equal((await report(one, 'demo-1', 'demo', keys['in-shop'] ?? '', 50, proxy)).status, 204);
    assert.equal((await report(one, 'lost', '', keys.anywhere ?? '', 50, proxy)).status, 204);
    for (const policy of ['in-shop', 'anywhere']) assert.equal((await countsOf(one, policy)).total.injected, 0, policy);
  });

  it('of a policy that a token may not read it reads no counts: to it there is none', async () => {
    for (const replica of [one, two]) {
      for (const name of ['in-shop', 'anywhere', 'star', 'never-was']) {
        for (const query of ['', '?scope=local']) {
          const { status, body } = await reads(name, replica, query);
          assert.deepEqual([status, body.detail], [404, `There is no policy "${name}".`], `${name}${query}`);
        }
      }
    }
    for (const name of ['in-shop', 'anywhere', 'star']) assert.equal((await one.ask('GET', `/v1/policies/${name}/counts`)).status, 200);
  });

  it('a proxy that floods with reports gets 429; it still polls, and others with the same token report', async () => {
    const strict = await Replica.start(processes, etcd.url, {
      replica: 'strict',
      env: { HFI_POLLS_PER_SECOND: '1', HFI_POLL_BURST: '10' },
    });
    const replies: Reply[] = [];
    for (let i = 0; i < 30; i++) replies.push(await report(strict, 'flooder', 'demo', keys.anywhere ?? '', 1));
    assert.deepEqual(new Set(replies.slice(0, 10).map(({ status }) => status)), new Set([204]));
    const refused = replies.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 15, `${refused.length} of 30`);
    assert.equal(refused[0]?.body.code, 'too-many-requests');
    assert.ok(Number(refused[0]?.headers.get('retry-after')) >= 1);
    assert.equal((await strict.poll({ name: 'flooder' })).status, 200);
    assert.equal((await report(strict, 'neighbour', 'demo', keys.anywhere ?? '', 1)).status, 204);
    await strict.kill('SIGTERM');
  });

  it('a limit of the whole fleet ends what guardrails gave to chosen proxies, by what those tell alone', async () => {
    const file = join(processes.folder, 'guardrails.json');
    writeFileSync(file, JSON.stringify({ requireEnd: false, oneProxyOfEachService: true, forbiddenPaths: ['/healthz'] }));
    const own = await Etcd.start(processes);
    const guarded = await Replica.start(processes, own.url, { replica: 'guarded', env: { HFI_GUARDRAILS_FILE: file } });
    const versionOf = async (name: string): Promise<string | null> =>
      (await guarded.poll({ name, namespace: 'each', labels: 'app=api' })).headers.get('etag');
    const empty = await versionOf('each-1');
    assert.equal(await versionOf('each-2'), empty);
    const key = await apply(guarded, 'few', { selector: { namespace: 'each' }, rules: [{ match: { limit: { fleet: 5 } }, fault }] });
    await until(async () => (await versionOf('each-1')) !== empty, 'the chosen one has it', 5000);
    assert.equal(await versionOf('each-2'), empty);
    assert.equal((await report(guarded, 'each-2', 'each', key, 50)).status, 204);
    assert.equal((await report(guarded, 'each-1', 'each', key, 4)).status, 204);
    const before = await countsOf(guarded, 'few');
    assert.deepEqual([before.total.injected, before.rules[0]?.limitReached], [4, false]);
    assert.notEqual(await versionOf('each-1'), empty);
    assert.equal((await report(guarded, 'each-1', 'each', key, 5)).status, 204);
    assert.equal((await countsOf(guarded, 'few')).rules[0]?.limitReached, true);
    assert.deepEqual([await versionOf('each-1'), await versionOf('each-2')], [empty, empty]);
  });
});
