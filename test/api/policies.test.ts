import assert from 'node:assert/strict';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

const spec = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };

interface Problem {
  readonly errors: readonly { path: string; message: string; nearest?: string; allowed?: string[] }[];
}

describe('API: policies', () => {
  let processes: Processes;
  let replica: Replica;

  before(async function () {
    this.timeout(60_000);
    processes = await Processes.begin();
    replica = await Replica.start(processes, (await Etcd.start(processes)).url);
  });
  after(() => processes.end());

  it('takes YAML and JSON alike', async () => {
    const yaml = await replica.ask('POST', '/v1/policies', {
      body: 'metadata: {name: yam}\nspec: {rules: [{fault: {abort: {httpStatus: 503}}}]}\n',
    });
    const json = await replica.ask('POST', '/v1/policies', { body: { metadata: { name: 'jay' }, spec } });
    assert.deepEqual([yaml.status, json.status], [201, 201]);
    const [a, b] = [await replica.ask('GET', '/v1/policies/yam'), await replica.ask('GET', '/v1/policies/jay')];
    assert.deepEqual(a.body.spec, b.body.spec);
    assert.equal(a.headers.get('etag'), `"${(a.body.metadata as { resourceVersion: string }).resourceVersion}"`);
  });

  it('names every wrong field at once, with what is allowed and the nearest', async () => {
    const reply = await replica.ask('POST', '/v1/policies', {
      body: {
        metadata: { name: 'Bad_' },
        spec: {
          directon: 'inbound',
          direction: 'inbond',
          rules: [{ match: { path: { exakt: '/x' } }, fault: { abort: { httpStatus: 99 } } }, { fault: {} }],
        },
      },
    });
    assert.equal(reply.status, 400);
    const { errors } = reply.body as unknown as Problem;
    const at = (path: string) => errors.find((error) => error.path === path);
    assert.equal(at('spec.directon')?.nearest, 'direction');
    assert.equal(at('spec.direction')?.nearest, 'inbound');
    assert.deepEqual(at('spec.rules[0].match.path.exakt')?.allowed, ['exact', 'prefix', 'suffix', 'contains', 'regex', 'ignoreCase']);
    for (const path of ['metadata.name', 'spec.rules[0].fault.abort.httpStatus', 'spec.rules[1].fault'])
      assert.ok(at(path), `${path} in ${JSON.stringify(errors)}`);
  });

  it('refuses a document whose expressions would keep it busy, naming the first that was too much', async () => {
    const rules = Array.from({ length: 200 }, (_, i) => ({
      match: { path: { regex: `/a${i}.{0,480}` } },
      fault: { abort: { httpStatus: 503 } },
    }));
    const reply = await replica.ask('POST', '/v1/policies', { body: { metadata: { name: 'busy' }, spec: { rules } } });
    assert.equal(reply.status, 400);
    const [first] = (reply.body as unknown as Problem).errors;
    assert.match(first?.path ?? '', /^spec\.rules\[2\d\]\.match\.path\.regex$/);
    assert.equal((await replica.ask('GET', '/v1/policies/busy')).status, 404);
  }).timeout(60_000);

  for (const [what, body, status, type] of [
    ['YAML that does not parse', 'metadata: {name: [}', 400, 'application/yaml'],
    ['JSON that does not parse', '{"metadata":', 400, 'application/json'],
    ['a key twice', 'metadata: {name: a, name: b}\nspec: {}', 400, 'application/yaml'],
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
        .join('\n')}`,
      400,
      'application/yaml',
    ],
    ['deep nesting', `${'['.repeat(20_000)}${']'.repeat(20_000)}`, 400, 'application/yaml'],
    ['two documents', 'metadata: {name: a}\n---\nmetadata: {name: b}', 400, 'application/yaml'],
    ['a text', 'hello', 400, 'application/yaml'],
    ['nothing', '', 400, 'application/json'],
    ['another type', '<a/>', 415, 'application/xml'],
    ['10 MB', `metadata: {name: a}\nx: "${'y'.repeat(10_000_000)}"`, 413, 'application/yaml'],
    [
      'prototype names',
      '{"metadata":{"name":"p"},"__proto__":{"a":1},"spec":{"constructor":{},"rules":[{"fault":{"abort":{"httpStatus":503}}}]}}',
      400,
      'application/json',
    ],
  ] as const) {
    it(`refuses ${what} with ${status}, and lives on`, async function () {
      this.timeout(20_000);
      const reply = await replica.ask('POST', '/v1/policies', { body, headers: { 'content-type': type } });
      assert.equal(reply.status, status, reply.text.slice(0, 300));
      assert.match(reply.headers.get('content-type') ?? '', /problem\+json/);
      assert.equal((await replica.ask('GET', '/healthz')).status, 200);
    });
  }

  it('says line and column of what does not parse', async () => {
    const reply = await replica.ask('POST', '/v1/policies', { body: 'metadata:\n  name: x\n spec: y\n' });
    assert.match(String(reply.body.detail), /line 3/);
  });

  it('creates once: a second POST is a conflict, a PUT replaces, the same PUT changes nothing', async () => {
    assert.equal((await replica.ask('POST', '/v1/policies', { body: { metadata: { name: 'once' }, spec } })).status, 201);
    assert.equal((await replica.ask('POST', '/v1/policies', { body: { metadata: { name: 'once' }, spec } })).status, 409);
    const same = await replica.put('once', spec);
    assert.deepEqual([same.status, same.body.result], [200, 'unchanged']);
    const other = await replica.put('once', { ...spec, priority: 1 });
    assert.deepEqual([other.status, other.body.result], [200, 'configured']);
  });

  it('starts the time of a rule with a duration over when it is applied again', async () => {
    const timed = { rules: [{ fault: { ...spec.rules[0]?.fault, duration_seconds: 60 } }] };
    const first = await replica.put('timed', timed);
    const again = await replica.put('timed', timed);
    assert.equal(again.body.result, 'configured');
    const ends = (reply: typeof first) => (reply.body.policy as { status: { endsAt: string } }).status.endsAt;
    assert.ok(ends(again) > ends(first));
  });

  it('honours If-Match on PUT and DELETE', async () => {
    const { headers } = await replica.put('matched', spec);
    const etag = headers.get('etag') ?? '';
    assert.equal((await replica.put('matched', { ...spec, priority: 2 }, { 'if-match': '"1"' })).status, 412);
    assert.equal((await replica.put('matched', { ...spec, priority: 2 }, { 'if-match': etag })).status, 200);
    assert.equal((await replica.ask('DELETE', '/v1/policies/matched', { headers: { 'if-match': etag } })).status, 412);
  });

  it('lets exactly one of 50 writers win each of 10 rounds', async function () {
    this.timeout(30_000);
    let etag = (await replica.put('race', spec)).headers.get('etag') ?? '';
    for (let round = 0; round < 10; round++) {
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, i) => replica.put('race', { ...spec, priority: round * 100 + i + 1 }, { 'if-match': etag })),
      );
      const winners = replies.filter(({ status }) => status === 200);
      assert.equal(winners.length, 1);
      assert.ok(replies.every(({ status }) => status === 200 || status === 412));
      etag = winners[0]?.headers.get('etag') ?? '';
    }
  });

  it('lists page by page, by name, each once', async () => {
    for (let i = 0; i < 25; i++) await replica.put(`page-${String(i).padStart(2, '0')}`, spec);
    const names: string[] = [];
    let cursor: string | null = '';
    do {
      const reply: Awaited<ReturnType<Replica['ask']>> = await replica.ask(
        'GET',
        `/v1/policies?limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      names.push(...(reply.body.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name));
      cursor = reply.body.nextCursor as string | null;
    } while (cursor !== null);
    assert.deepEqual(names, [...new Set(names)].sort());
    assert.equal(names.filter((name) => name.startsWith('page-')).length, 25);
  });

  it('changes nothing in a dry run, and says whom it would hit', async () => {
    await replica.poll({ name: 'dry-proxy' });
    const reply = await replica.ask('POST', '/v1/policies?dryRun=true', {
      body: { metadata: { name: 'dry' }, spec: { selector: { service: 'frontend' }, ...spec } },
    });
    assert.deepEqual([reply.status, reply.body.dryRun, reply.body.proxies], [200, true, ['dry-proxy']]);
    assert.equal((await replica.ask('GET', '/v1/policies/dry')).status, 404);
  });

  it('takes back what it showed', async () => {
    await replica.put('shown', spec);
    const { body } = await replica.ask('GET', '/v1/policies/shown');
    const again = await replica.ask('PUT', '/v1/policies/shown', { body });
    assert.deepEqual([again.status, again.body.result], [200, 'unchanged']);
  });

  it('refuses an If-Match that is no version', async () => {
    assert.equal((await replica.put('matched', spec, { 'if-match': 'yesterday' })).status, 400);
  });

  it('refuses what a proxy has no room for, also in a dry run, and takes what makes it smaller', async function () {
    this.timeout(30_000);
    await replica.poll({ name: 'full-proxy', namespace: 'full' });
    // No two alike: equal texts are kept once.
    let made = 0;
    const bodies = (count: number) => ({
      selector: { namespace: 'full' },
      rules: Array.from({ length: count }, () => ({ fault: { abort: { httpStatus: 503, body: String(made++).padEnd(65_000, 'x') } } })),
    });
    for (let i = 0; i < 4; i++) assert.equal((await replica.put(`full-${i}`, bodies(15))).status, 201);
    const document = { metadata: { name: 'full-4' }, spec: bodies(15) };
    for (const query of ['', '?dryRun=true']) {
      const { status, body } = await replica.ask('PUT', `/v1/policies/full-4${query}`, { body: document });
      assert.equal(status, 413);
      assert.match(String(body.detail), /proxy "full-proxy" would have 4\d{6} bytes, and a filter takes 4194304/);
    }
    assert.equal((await replica.ask('GET', '/v1/policies/full-4')).status, 404);
    assert.equal((await replica.put('full-3', bodies(3))).status, 200);
    assert.equal((await replica.put('full-4', bodies(2))).status, 201);
    assert.equal((await replica.put('elsewhere', { ...bodies(15), selector: { namespace: 'other' } })).status, 201);
  });

  it('audits each change with who, what, before and after', async () => {
    await replica.put('audited', spec);
    await replica.put('audited', { ...spec, priority: 3 });
    await replica.ask('DELETE', '/v1/policies/audited', { role: 'editor' });
    const { body } = await replica.ask('GET', '/v1/audit?limit=3');
    const items = body.items as {
      action: string;
      policy: string;
      actor: { name: string };
      before: { priority: number } | null;
      after: { priority: number } | null;
    }[];
    assert.deepEqual(
      items.map(({ action, actor, before, after }) => [action, actor.name, before?.priority, after?.priority]),
      [
        ['delete', 'the-editor', 3, undefined],
        ['replace', 'the-admin', 0, 3],
        ['create', 'the-admin', undefined, 0],
      ],
    );
  });

  it('ends a policy at its time: the proxy is woken, the end is audited once', async function () {
    this.timeout(15_000);
    const { body } = await replica.poll({ name: 'ender', namespace: 'ends' });
    void body;
    await replica.put('short', {
      selector: { namespace: 'ends' },
      rules: [{ fault: { abort: { httpStatus: 503 }, duration_seconds: 2 } }],
    });
    const begun = Date.now();
    await until(async () => (await replica.poll({ name: 'ender', namespace: 'ends' })).headers.get('etag') !== undefined, 'a ruleset');
    const faulted = (await replica.poll({ name: 'ender', namespace: 'ends' })).headers.get('etag') ?? '';
    const woken = await replica.poll({ name: 'ender', namespace: 'ends', has: faulted, wait: 10 });
    const after = Date.now() - begun;
    assert.equal(woken.status, 200);
    assert.ok(after > 1500 && after < 2600, `woken after ${after} ms`);
    await until(async () => {
      const { body: page } = await replica.ask('GET', '/v1/audit?limit=5');
      return (
        (page.items as { action: string; policy: string }[]).filter((one) => one.action === 'end' && one.policy === 'short').length === 1
      );
    }, 'the end is audited');
    assert.equal(((await replica.ask('GET', '/v1/policies/short')).body.status as { state: string }).state, 'ended');
  });
});
