import assert from 'node:assert/strict';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const fault = { abort: { httpStatus: 503 } };
const spec = (selector: Record<string, unknown>) => ({ selector, rules: [{ fault }] });

describe('API: what a token of namespace demo sees and does', function () {
  this.timeout(60_000);
  let processes: Processes;
  let one: Replica;
  let two: Replica;
  let tokens: Record<'editor' | 'viewer' | 'admin' | 'proxy', string>;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    [one, two] = await Promise.all([
      Replica.start(processes, etcd.url, { replica: 'one' }),
      Replica.start(processes, etcd.url, { replica: 'two' }),
    ]);
    const make = async (role: string): Promise<string> =>
      String((await one.ask('POST', '/v1/tokens', { body: { name: `demo-${role}`, role, namespaces: ['demo'] } })).body.token);
    tokens = { editor: await make('editor'), viewer: await make('viewer'), admin: await make('admin'), proxy: await make('proxy') };
    for (const [name, selector] of Object.entries({
      a: { namespace: 'shop' },
      'b-demo': { namespace: 'demo' },
      c: {},
      d: { namespace: '*', service: 'frontend' },
      'e-demo': { namespace: 'demo', service: 'frontend' },
      f: { namespace: 'shop' },
    })) {
      assert.equal((await one.put(name, spec(selector))).status, 201);
    }
    await Promise.all([
      one.poll({ name: 'demo-1', namespace: 'demo' }),
      two.poll({ name: 'demo-2', namespace: 'demo' }),
      one.poll({ name: 'shop-1', namespace: 'shop' }),
      two.poll({ name: 'nowhere', namespace: '' }),
    ]);
    for (const replica of [one, two])
      await until(async () => (await as('viewer', 'GET', '/v1/status', {}, replica)).status === 200, 'the tokens are known', 2000);
  });
  after(() => processes.end());

  function as(role: keyof typeof tokens, method: string, path: string, more: object = {}, replica = one): Promise<Reply> {
    return replica.ask(method, path, { role: 'none', headers: { authorization: `Bearer ${tokens[role]}` }, ...more });
  }
  const put = (name: string, selector: Record<string, unknown>, query = '') =>
    as('editor', 'PUT', `/v1/policies/${name}${query}`, { body: { metadata: { name }, spec: spec(selector) } });
  const names = (reply: Reply) => (reply.body.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);

  for (const [what, selector] of [
    ['no namespace', {}],
    ['any namespace', { namespace: '*' }],
    ['another namespace', { namespace: 'shop' }],
    ['a namespace that begins like it', { namespace: 'demo-2' }],
    ['a service but no namespace', { service: 'frontend' }],
  ] as const) {
    it(`writes no policy whose selector names ${what}, not even as a dry run`, async () => {
      for (const query of ['', '?dryRun=true']) {
        const reply = await put('mine', selector, query);
        assert.equal(reply.status, 403, reply.text);
        assert.deepEqual(
          (reply.body.errors as { path: string; allowed: string[] }[]).map(({ path, allowed }) => [path, allowed]),
          [['spec.selector.namespace', ['demo']]],
        );
      }
      const posted = await as('editor', 'POST', '/v1/policies', { body: { metadata: { name: 'mine' }, spec: spec(selector) } });
      assert.equal(posted.status, 403);
      assert.equal((await one.ask('GET', '/v1/policies/mine')).status, 404, 'nothing was written');
    });
  }

  it('writes and deletes policies of its namespace', async () => {
    assert.equal((await put('mine', { namespace: 'demo' })).status, 201);
    assert.equal((await put('mine', { namespace: 'demo', service: 'x' })).status, 200);
    assert.equal((await as('editor', 'DELETE', '/v1/policies/mine')).status, 200);
  });

  it('takes no policy of another namespace into its own, and moves none of its own out', async () => {
    const taken = await put('a', { namespace: 'demo' });
    assert.deepEqual([taken.status, taken.body.code], [403, 'forbidden']);
    assert.equal((await put('b-demo', { namespace: 'shop' })).status, 403);
    const { body } = await one.ask('GET', '/v1/policies/a');
    assert.deepEqual((body.spec as { selector: unknown }).selector, { namespace: 'shop' });
  });

  it('deletes no policy of another namespace: to it there is none', async () => {
    for (const name of ['a', 'c', 'd', 'never-was']) {
      const reply = await as('editor', 'DELETE', `/v1/policies/${name}`);
      assert.deepEqual([reply.status, reply.body.detail], [404, `There is no policy "${name}".`]);
      const read = await as('viewer', 'GET', `/v1/policies/${name}`);
      assert.deepEqual([read.status, read.body.detail], [404, `There is no policy "${name}".`]);
    }
    for (const name of ['a', 'c', 'd']) assert.equal((await one.ask('GET', `/v1/policies/${name}`)).status, 200, name);
  });

  it('lists its own policies alone, page by page, and no cursor names another', async () => {
    assert.deepEqual(names(await as('viewer', 'GET', '/v1/policies')), ['b-demo', 'e-demo']);
    const first = await as('viewer', 'GET', '/v1/policies?limit=1');
    assert.deepEqual([names(first), first.body.nextCursor], [['b-demo'], 'b-demo']);
    const second = await as('viewer', 'GET', `/v1/policies?limit=1&cursor=${first.body.nextCursor}`);
    assert.deepEqual([names(second), second.body.nextCursor], [['e-demo'], null]);
    assert.equal(names(await one.ask('GET', '/v1/policies')).length, 6);
  });

  it('sees the proxies of its namespace on every replica, and of the policies for them those it may read', async () => {
    for (const replica of [one, two]) {
      const { items } = (await as('viewer', 'GET', '/v1/proxies', {}, replica)).body as { items: { name: string; selectedBy: string[] }[] };
      assert.deepEqual(
        items.map(({ name, selectedBy }) => [name, selectedBy]),
        [
          ['demo-1', ['b-demo', 'e-demo']],
          ['demo-2', ['b-demo', 'e-demo']],
        ],
      );
    }
    assert.equal(((await one.ask('GET', '/v1/proxies')).body.items as unknown[]).length, 4);
  });

  it('counts in status what it sees', async () => {
    const { policies, proxies } = (await as('viewer', 'GET', '/v1/status')).body as Record<string, Record<string, number>>;
    assert.deepEqual([policies?.active, proxies?.connected, proxies?.unreadable], [2, 2, 0]);
    const all = (await one.ask('GET', '/v1/status')).body as Record<string, Record<string, number>>;
    assert.deepEqual([all.policies?.active, all.proxies?.connected, all.proxies?.unreadable], [6, 4, 1]);
  });

  it('sees of a rollout the proxies of its namespace', async () => {
    const proxies = async (query: string) =>
      ((await as('viewer', 'GET', `/v1/rollout?revision=1${query}`)).body.proxies as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(await proxies(''), ['demo-1', 'demo-2']);
    assert.deepEqual(await proxies('&policy=b-demo'), ['demo-1', 'demo-2']);
    assert.equal((await as('viewer', 'GET', '/v1/rollout?revision=1&policy=c')).status, 404);
  });

  it('sees of the audit what was done to policies of its namespace', async () => {
    const { items } = (await as('viewer', 'GET', '/v1/audit?limit=100')).body as {
      items: { policy: string; before: unknown; after: { selector: { namespace: string } } | null }[];
    };
    assert.deepEqual(new Set(items.map(({ policy }) => policy)), new Set(['b-demo', 'e-demo', 'mine']));
    assert.ok(items.every(({ after }) => after === null || after.selector.namespace === 'demo'));
  });

  it('sees nothing of the seals of the audit, which are of all namespaces', async () => {
    for (const role of ['admin', 'viewer'] as const) {
      const reply = await as(role, 'GET', '/v1/audit/seals');
      assert.deepEqual([reply.status, reply.body.items], [403, undefined]);
      assert.equal(reply.body.detail, 'This needs a token of every namespace; the token is for namespace demo.');
    }
    assert.equal((await one.ask('GET', '/v1/audit/seals', { role: 'viewer' })).status, 200);
  });

  it('of a policy that left its namespace the audit shows the half that was in it', async () => {
    await one.put('moves', spec({ namespace: 'demo' }));
    await one.put('moves', spec({ namespace: 'shop' }));
    await one.put('moves', { ...spec({ namespace: 'shop' }), priority: 1 });
    const { items } = (await as('viewer', 'GET', '/v1/audit?limit=100')).body as {
      items: { policy: string; action: string; before: unknown; after: unknown }[];
    };
    const seen = items.filter(({ policy }) => policy === 'moves');
    assert.deepEqual(
      seen.map(({ action, before, after }) => [action, before !== null, after !== null]),
      [
        ['replace', true, false],
        ['create', false, true],
      ],
    );
    await one.ask('DELETE', '/v1/policies/moves');
  });

  for (const order of ['newest', 'oldest']) {
    it(`the audit is read page by page over entries of others, ${order} first`, async () => {
      for (let i = 0; i < 600; i++) await one.put('noise', { ...spec({ namespace: 'shop' }), priority: i });
      let cursor = '';
      const seen: string[] = [];
      for (let pages = 0; pages < 20; pages++) {
        const { body } = await as('viewer', 'GET', `/v1/audit?limit=1&order=${order}&cursor=${cursor}`);
        seen.push(...(body.items as { id: string }[]).map(({ id }) => id));
        if (body.nextCursor === null) break;
        cursor = String(body.nextCursor);
      }
      const all = (await as('viewer', 'GET', `/v1/audit?limit=100&order=${order}`)).body.items as { id: string }[];
      assert.deepEqual(
        seen,
        all.map(({ id }) => id),
      );
      assert.ok(seen.length >= 5);
      await one.ask('DELETE', '/v1/policies/noise');
    });
  }

  describe('as a proxy', () => {
    const poll = (name: string, namespace: string, role: keyof typeof tokens = 'proxy') =>
      as(role, 'GET', '/v1/ruleset', {
        headers: {
          authorization: `Bearer ${tokens[role]}`,
          'x-hfi-proxy': name,
          'x-hfi-namespace': namespace,
          'x-hfi-labels': 'app=frontend',
        },
      });

    it('gets the rulesets of its namespace', async () => {
      assert.equal((await poll('bound', 'demo')).status, 200);
      assert.equal((await poll('sidecar~10.0.0.7~frontend.v1-abc.demo~demo.svc.cluster.local', 'demo')).status, 200);
    });

    const foreign: [string, string, string][] = [
      ['of another namespace', 'spy', 'shop'],
      ['whose node id says another namespace', 'sidecar~10.0.0.7~x.demo.shop~shop.svc.cluster.local', 'demo'],
      ['whose name a proxy of another namespace has', 'shop-1', 'demo'],
    ];
    for (const [what, name, namespace] of foreign) {
      it(`gets none for a proxy ${what}, and is in no list`, async () => {
        const reply = await poll(name, namespace);
        assert.deepEqual([reply.status, reply.body.code], [403, 'forbidden']);
        const { items } = (await one.ask('GET', '/v1/proxies')).body as { items: { name: string; namespace: string }[] };
        assert.equal(items.find((proxy) => proxy.name === name)?.namespace, name === 'shop-1' ? 'shop' : undefined);
      });
    }

    it('an admin of the namespace polls for it alone', async () => {
      assert.equal((await poll('bound-admin', 'demo', 'admin')).status, 200);
      assert.equal((await poll('bound-admin-2', 'shop', 'admin')).status, 403);
    });

    it('one that can not read its namespace gets the empty ruleset, and is seen by those who see all', async () => {
      const reply = await poll('lost', '');
      assert.equal(reply.status, 200);
      const { items } = (await one.ask('GET', '/v1/proxies')).body as { items: { name: string; selectedBy: string[] }[] };
      assert.deepEqual(items.find(({ name }) => name === 'lost')?.selectedBy, []);
    });
  });

  it('halts and resumes its namespace, not everything nor another; sees halts of its own and of everything', async () => {
    const halt = (role: keyof typeof tokens, namespace?: string) =>
      as(role, 'POST', '/v1/halt', { body: namespace === undefined ? {} : { namespace } });
    for (const namespace of [undefined, 'shop']) {
      const reply = await halt('editor', namespace);
      assert.equal(reply.status, 403, reply.text);
      assert.match(reply.text, /The token is for namespace demo, not for (everything|namespace shop)\./);
    }
    assert.equal((await halt('editor', 'demo')).status, 200);
    await one.ask('POST', '/v1/halt', { body: { namespace: 'shop' } });
    await one.ask('POST', '/v1/halt', { body: {} });
    const seen = async (path: string) =>
      ((await as('viewer', 'GET', path)).body.halts as { namespace: string | null }[]).map(({ namespace }) => namespace);
    assert.deepEqual(await seen('/v1/halt'), [null, 'demo']);
    assert.deepEqual(await seen('/v1/status'), [null, 'demo']);
    assert.equal((await as('admin', 'DELETE', '/v1/halt?namespace=shop')).status, 403);
    assert.equal((await as('admin', 'DELETE', '/v1/halt')).status, 403);
    assert.equal((await as('admin', 'DELETE', '/v1/halt?namespace=demo')).status, 200);
    const audited = (await as('viewer', 'GET', '/v1/audit')).body.items as { halt?: { namespace: string | null } }[];
    assert.deepEqual(
      audited.flatMap(({ halt: entry }) => (entry === undefined ? [] : [entry.namespace])),
      ['demo', null, 'demo'],
    );
    for (const query of ['', '?namespace=shop']) assert.equal((await one.ask('DELETE', `/v1/halt${query}`)).status, 200);
  });

  it('hears of its own policies and halts alone', async () => {
    const leaving = new AbortController();
    const answer = await fetch(`${one.url}/v1/events`, {
      headers: { authorization: `Bearer ${tokens.viewer}` },
      signal: leaving.signal,
    });
    await one.put('g', spec({ namespace: 'shop' }));
    await one.put('h', spec({}));
    await one.ask('DELETE', '/v1/policies/g');
    await one.ask('DELETE', '/v1/policies/h');
    await one.poll({ name: 'shop-9', namespace: 'shop' });
    assert.equal((await put('mine', { namespace: 'demo' })).status, 201);
    let text = '';
    const decoder = new TextDecoder();
    for await (const bytes of answer.body ?? []) {
      text += decoder.decode(bytes as Uint8Array, { stream: true });
      if (text.includes('policy/mine')) break;
    }
    leaving.abort();
    assert.deepEqual([...text.matchAll(/^data: .*$/gm)].length, 1, text);
    assert.equal((await as('editor', 'DELETE', '/v1/policies/mine')).status, 200);
  });

  it('reads of the history the runs of its own policies, and renews no lease of others', async () => {
    const held = (namespace: string) => ({ ...spec({ namespace }), lease: '5m' });
    for (const [name, namespace] of [
      ['held-shop', 'shop'],
      ['held-demo', 'demo'],
    ] as const) {
      assert.equal((await one.put(name, held(namespace))).status, 201);
      const renewed = await as('editor', 'POST', `/v1/policies/${name}/renew`);
      assert.equal(renewed.status, namespace === 'demo' ? 200 : 404, renewed.text);
      assert.equal((await one.ask('DELETE', `/v1/policies/${name}`)).status, 200);
    }
    const results = async () =>
      ((await as('viewer', 'GET', '/v1/audit?action=result')).body.items as { policy: string }[]).map(({ policy }) => policy);
    await until(async () => (await results()).includes('held-demo'), 'what it did is audited', 30_000);
    assert.ok(!(await results()).includes('held-shop'));
    const seen = names(await as('viewer', 'GET', '/v1/history?limit=100'));
    assert.ok(seen.includes('held-demo') && !seen.includes('held-shop'), seen.join(' '));
    assert.deepEqual(names(await as('viewer', 'GET', '/v1/history?policy=held-shop')), []);
    // A page of one goes on behind what is left out.
    const first = await as('viewer', 'GET', '/v1/history?limit=1');
    const next = await as('viewer', 'GET', `/v1/history?limit=100&cursor=${String(first.body.nextCursor)}`);
    assert.deepEqual([...names(first), ...names(next)], seen);
  });
});
