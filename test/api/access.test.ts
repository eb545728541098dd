import assert from 'node:assert/strict';
import { Replica, type Role } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';

const spec = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };

describe('API: who may do what, and when', () => {
  let processes: Processes;
  let etcd: Etcd;
  let replica: Replica;

  before(async function () {
    this.timeout(60_000);
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    replica = await Replica.start(processes, etcd.url);
    await replica.put('there', spec);
  });
  after(() => processes.end());

  const READS = [
    '/v1/policies',
    '/v1/policies/there',
    '/v1/proxies',
    '/v1/rollout?revision=1',
    '/v1/audit',
    '/v1/audit/seals',
    '/v1/history',
    '/v1/status',
  ];
  const roles: [Role, { reads: boolean; writes: boolean; polls: boolean }][] = [
    ['admin', { reads: true, writes: true, polls: true }],
    ['editor', { reads: true, writes: true, polls: false }],
    ['viewer', { reads: true, writes: false, polls: false }],
    ['proxy', { reads: false, writes: false, polls: true }],
  ];
  for (const [role, may] of roles) {
    it(`${role}: reads ${may.reads}, writes ${may.writes}, polls ${may.polls}`, async () => {
      for (const path of READS) assert.equal((await replica.ask('GET', path, { role })).status, may.reads ? 200 : 403, path);
      const name = `by-${role}`;
      const body = { metadata: { name }, spec };
      assert.equal((await replica.ask('POST', '/v1/policies', { role, body })).status, may.writes ? 201 : 403);
      assert.equal((await replica.ask('PUT', `/v1/policies/${name}`, { role, body })).status, may.writes ? 200 : 403);
      assert.equal((await replica.ask('DELETE', `/v1/policies/${name}`, { role })).status, may.writes ? 200 : 403);
      const poll = await replica.ask('GET', '/v1/ruleset', { role, headers: { 'x-hfi-proxy': 'p', 'x-hfi-namespace': 'n' } });
      assert.equal(poll.status, may.polls ? 200 : 403);
      assert.equal((await replica.ask('GET', `/v1/policies/${name}`)).status, 404, 'nothing stays');
    });
  }

  it('who may not write learns nothing of the body, and nothing is audited', async () => {
    const newest = async () => JSON.stringify((await replica.ask('GET', '/v1/audit?limit=1')).body.items);
    const before = await newest();
    assert.equal((await replica.ask('POST', '/v1/policies', { role: 'viewer', body: '{' })).status, 403);
    assert.equal(await newest(), before);
  });

  it('If-None-Match: * only creates', async () => {
    const only = { 'if-none-match': '*' };
    assert.equal((await replica.put('fresh', spec, only)).status, 201);
    assert.equal((await replica.put('fresh', { ...spec, priority: 1 }, only)).status, 412);
    assert.equal((await replica.put('fresh', spec, { ...only, 'if-match': '"1"' })).status, 400);
  });

  it('If-Match never creates', async () => {
    for (const match of ['*', '"1"', '"no-tag-of-ours"'])
      assert.equal((await replica.put('absent', spec, { 'if-match': match })).status, 412);
    assert.equal((await replica.ask('GET', '/v1/policies/absent')).status, 404);
  });

  it('DELETE with the version that is there deletes', async () => {
    const etag = (await replica.put('goes', spec)).headers.get('etag') ?? '';
    assert.equal((await replica.ask('DELETE', '/v1/policies/goes', { headers: { 'if-match': etag } })).status, 200);
  });

  for (const name of ['constructor', 'valueof', 'prototype']) {
    it(`a policy may be named ${name}`, async () => {
      assert.equal((await replica.ask('GET', `/v1/policies/${name}`)).status, 404);
      assert.equal((await replica.put(name, spec)).status, 201);
      assert.equal((await replica.ask('DELETE', `/v1/policies/${name}`)).status, 200);
    });
  }

  for (const name of ['__proto__', '..%2Freplicas%2Fx', 'a%00b', '%F0%9F%92%A5', 'x'.repeat(5000)]) {
    it(`there is no policy ${name.slice(0, 20)}`, async () => {
      const reply = await replica.ask('GET', `/v1/policies/${name}`);
      assert.ok([400, 404].includes(reply.status), `${reply.status} ${reply.text}`);
      assert.match(reply.headers.get('content-type') ?? '', /problem\+json/);
    });
  }

  it('an identical PUT writes nothing: no new version, no audit', async () => {
    const first = await replica.put('same', spec);
    const again = await replica.put('same', spec);
    assert.equal(again.headers.get('etag'), first.headers.get('etag'));
    const { items } = (await replica.ask('GET', '/v1/audit?limit=2')).body as { items: { policy: string }[] };
    assert.equal(items.filter(({ policy }) => policy === 'same').length, 1);
  });

  it('too many changes of one token get 429 and a time to come back; another token goes on', async function () {
    this.timeout(20_000);
    const strict = await Replica.start(processes, etcd.url, { env: { HFI_WRITES_PER_SECOND: '1', HFI_WRITE_BURST: '10' } });
    const write = (role: Role) => strict.ask('POST', '/v1/policies?dryRun=true', { role, body: { metadata: { name: 'often' }, spec } });
    const replies = [];
    for (let i = 0; i < 30; i++) replies.push(await write('admin'));
    const refused = replies.filter(({ status }) => status === 429);
    assert.ok(refused.length > 0 && refused.length < 30, `${refused.length} of 30`);
    assert.equal(refused[0]?.body.code, 'too-many-requests');
    assert.ok(Number(refused[0]?.headers.get('retry-after')) >= 1);
    assert.equal((await write('editor')).status, 200);
    assert.equal((await strict.ask('GET', '/v1/policies')).status, 200);
  });

  it('too many reads of one token get 429; another token and changes go on', async function () {
    this.timeout(20_000);
    const strict = await Replica.start(processes, etcd.url, { env: { HFI_READS_PER_SECOND: '1', HFI_READ_BURST: '10' } });
    const statuses = [];
    for (let i = 0; i < 30; i++) statuses.push((await strict.ask('GET', '/v1/policies', { role: 'viewer' })).status);
    assert.deepEqual(new Set(statuses.slice(0, 10)), new Set([200]));
    const refused = statuses.filter((status) => status === 429).length;
    assert.ok(refused >= 15 && refused <= 20, `${refused} of 30`);
    for (const path of [
      '/v1/status',
      '/v1/audit',
      '/v1/proxies',
      '/v1/rollout?revision=1',
      '/v1/policies/there',
      '/v1/policies/there/counts',
    ]) {
      const reply = await strict.ask('GET', path, { role: 'viewer' });
      assert.deepEqual([reply.status, reply.body.code], [429, 'too-many-requests'], path);
      assert.ok(Number(reply.headers.get('retry-after')) >= 1);
    }
    assert.equal((await strict.ask('GET', '/v1/policies', { role: 'editor' })).status, 200);
    assert.equal((await strict.put('after-reads', spec)).status, 201);
    assert.equal((await strict.ask('GET', '/healthz', { role: 'none' })).status, 200);
    await strict.ask('DELETE', '/v1/policies/after-reads');
  });

  it('a proxy that floods gets 429; others with the same token go on', async function () {
    this.timeout(20_000);
    const strict = await Replica.start(processes, etcd.url, { env: { HFI_POLLS_PER_SECOND: '1', HFI_POLL_BURST: '10' } });
    const statuses = [];
    for (let i = 0; i < 30; i++) statuses.push((await strict.poll({ name: 'flooder' })).status);
    assert.deepEqual(new Set(statuses.slice(0, 10)), new Set([200]));
    assert.ok(statuses.filter((status) => status === 429).length >= 15);
    assert.equal((await strict.poll({ name: 'neighbour' })).status, 200);
  });
});
