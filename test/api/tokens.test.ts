import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeClient } from '../../cli/client.ts';
import { verifyLive } from '../../cli/verify-audit.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

interface Made {
  readonly name: string;
  readonly token: string;
  readonly expiresAt: string;
}

const spec = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };
const by = (token: string, headers: Record<string, string> = {}) => ({
  role: 'none' as const,
  headers: { ...headers, authorization: `Bearer ${token}` },
});

describe('API: issued tokens', function () {
  this.timeout(60_000);
  let processes: Processes;
  let etcd: Etcd;
  let line: TcpProxy;
  let one: Replica;
  /** Reaches etcd over a line that can be cut. */
  let two: Replica;

  before(async () => {
    processes = await Processes.begin();
    etcd = await Etcd.start(processes);
    line = await TcpProxy.start(etcd.port);
    [one, two] = await Promise.all([
      Replica.start(processes, etcd.url, { replica: 'one' }),
      Replica.start(processes, `http://127.0.0.1:${line.port}`, { replica: 'two' }),
    ]);
  });
  after(async () => {
    line.close();
    await processes.end();
  });

  async function make(name: string, role: string, more: object = {}): Promise<Made> {
    const reply = await one.ask('POST', '/v1/tokens', { body: { name, role, ...more } });
    assert.equal(reply.status, 201, reply.text);
    return reply.body as unknown as Made;
  }

  const statusAt = async (replica: Replica, token: string) => (await replica.ask('GET', '/v1/status', by(token))).status;

  it('is good at every replica, for what its role may do', async () => {
    const { token, name } = await make('reader', 'viewer');
    assert.match(token, /^hfi_reader_[\w-]{43}$/);
    for (const replica of [one, two]) {
      await until(async () => (await statusAt(replica, token)) === 200, 'it is known', 1000);
      const write = await replica.ask('PUT', '/v1/policies/x', { ...by(token), body: { metadata: { name: 'x' }, spec } });
      assert.deepEqual([write.status, write.body.code], [403, 'forbidden']);
    }
    assert.equal(name, 'reader');
  });

  it('is said once: neither the list, the audit, etcd nor the log has it', async () => {
    const { token } = await make('secret', 'editor');
    await until(async () => (await statusAt(two, token)) === 200, 'it is known', 1000);
    const secret = token.slice('hfi_secret_'.length);
    const { stdout } = await etcdKeys();
    for (const text of [
      (await one.ask('GET', '/v1/tokens')).text,
      (await one.ask('GET', '/v1/audit?limit=200')).text,
      one.log,
      two.log,
      stdout,
    ]) {
      assert.ok(text.length > 0 && !text.includes(secret));
    }
    const { items } = (await one.ask('GET', '/v1/tokens')).body as { items: Record<string, unknown>[] };
    assert.deepEqual(Object.keys(items[0] ?? {}).sort(), ['createdAt', 'createdBy', 'expired', 'expiresAt', 'name', 'namespaces', 'role']);
  });

  it('revoked at one replica is refused at both within a second, and its name is free again', async () => {
    const { token } = await make('leaked', 'viewer');
    await until(async () => (await statusAt(two, token)) === 200, 'it is known', 1000);
    assert.equal((await one.ask('DELETE', '/v1/tokens/leaked')).status, 200);
    const begun = performance.now();
    for (const replica of [one, two]) await until(async () => (await statusAt(replica, token)) === 401, 'it is refused', 1000);
    assert.ok(performance.now() - begun < 1000);
    assert.equal((await one.ask('DELETE', '/v1/tokens/leaked')).status, 404);
    const again = await make('leaked', 'viewer');
    assert.notEqual(again.token, token);
    await until(async () => (await statusAt(one, again.token)) === 200, 'the new one is known', 1000);
    for (const replica of [one, two]) assert.equal(await statusAt(replica, token), 401, 'the old one stays refused');
  });

  it('ends by itself, says so to who holds it, and to nobody else', async () => {
    const { token } = await make('short', 'viewer', { expiresInSeconds: 60 });
    await until(async () => (await statusAt(one, token)) === 200, 'it is known', 1000);
    // A minute is the shortest life; its end is written into etcd as if it had begun earlier.
    await endNow('short');
    await until(async () => (await statusAt(one, token)) === 401, 'it ended', 2000);
    const reply = await one.ask('GET', '/v1/status', by(token));
    assert.match(String(reply.body.detail), /^The token "short" ended at \d{4}-/);
    const wrong = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    assert.equal((await one.ask('GET', '/v1/status', by(wrong))).body.detail, 'The token is not known here.');
    const { items } = (await one.ask('GET', '/v1/tokens')).body as { items: { name: string; expired: boolean }[] };
    assert.equal(items.find(({ name }) => name === 'short')?.expired, true);
  });

  it('an unknown one, a wrong one and a revoked one are not told apart', async () => {
    const { token } = await make('three', 'viewer');
    await one.ask('DELETE', '/v1/tokens/three');
    await until(async () => (await statusAt(one, token)) === 401, 'it is refused', 1000);
    const wrong = `hfi_reader_${'x'.repeat(43)}`;
    const texts = await Promise.all(
      [token, wrong, 'nonsense-of-nobody'].map(async (one_) => (await one.ask('GET', '/v1/status', by(one_))).text),
    );
    assert.equal(new Set(texts).size, 1, texts.join('\n'));
  });

  it('only an admin of every namespace makes, lists and revokes them', async () => {
    const scoped = await make('scoped-admin', 'admin', { namespaces: ['demo'] });
    await until(async () => (await statusAt(one, scoped.token)) === 200, 'it is known', 1000);
    const body = { name: 'never', role: 'viewer' };
    for (const role of ['editor', 'viewer', 'proxy'] as const) {
      assert.equal((await one.ask('POST', '/v1/tokens', { role, body })).status, 403, role);
      assert.equal((await one.ask('GET', '/v1/tokens', { role })).status, 403, role);
      assert.equal((await one.ask('DELETE', '/v1/tokens/reader', { role })).status, 403, role);
    }
    for (const [method, path, more] of [
      ['POST', '/v1/tokens', { body }],
      ['GET', '/v1/tokens', {}],
      ['DELETE', '/v1/tokens/reader', {}],
    ] as const) {
      const reply = await one.ask(method, path, { ...by(scoped.token), ...more });
      assert.deepEqual(
        [reply.status, reply.body.detail],
        [403, 'This needs an admin of every namespace; the token is for namespace demo.'],
      );
    }
    const names = ((await one.ask('GET', '/v1/tokens')).body.items as { name: string }[]).map(({ name }) => name);
    assert.ok(names.includes('reader') && !names.includes('never'));
  });

  const refused: [string, object, string, RegExp][] = [
    ['a name that is no label', { name: 'A b', role: 'viewer' }, 'name', /DNS label/],
    ['a role that is none', { name: 'a', role: 'root' }, 'role', /admin or editor or viewer or proxy/],
    ['a life of 59 s', { name: 'a', role: 'viewer', expiresInSeconds: 59 }, 'expiresInSeconds', /at least 60/],
    ['a life of more than 366 days', { name: 'a', role: 'viewer', expiresInSeconds: 31_622_401 }, 'expiresInSeconds', /at most 31622400/],
    ['no namespaces at all', { name: 'a', role: 'viewer', namespaces: [] }, 'namespaces', /at least 1/],
    ['every namespace by a star', { name: 'a', role: 'viewer', namespaces: ['*'] }, 'namespaces[0]', /DNS label/],
    ['an unknown field', { name: 'a', role: 'viewer', namespace: 'demo' }, 'namespace', /no field/],
  ];
  for (const [what, body, path, message] of refused) {
    it(`refuses ${what}, by its field`, async () => {
      const reply = await one.ask('POST', '/v1/tokens', { body });
      assert.equal(reply.status, 400, reply.text);
      const [error] = reply.body.errors as { path: string; message: string }[];
      assert.equal(error?.path, path);
      assert.match(error?.message ?? '', message);
    });
  }

  it('a name is taken once, also by the tokens file', async () => {
    await make('twice', 'viewer');
    for (const name of ['twice', 'the-admin']) {
      assert.equal((await one.ask('POST', '/v1/tokens', { body: { name, role: 'viewer' } })).status, 409, name);
    }
  });

  it('making and revoking are audited: who, what, and nothing of the token', async () => {
    await make('audited', 'editor', { namespaces: ['shop', 'demo', 'shop'] });
    await one.ask('DELETE', '/v1/tokens/audited');
    const { items } = (await one.ask('GET', '/v1/audit?limit=2')).body as { items: Record<string, unknown>[] };
    assert.deepEqual(
      items.map(({ action, token, policy, actor }) => [action, token, policy, actor]),
      [
        ['revoke-token', 'audited', '', { name: 'the-admin', role: 'admin' }],
        ['create-token', 'audited', '', { name: 'the-admin', role: 'admin' }],
      ],
    );
    const state = items[1]?.after as { role: string; namespaces: string[]; expiresAt: number };
    assert.deepEqual([state.role, state.namespaces, Object.keys(state).length], ['editor', ['demo', 'shop'], 3]);
    assert.deepEqual(items[0]?.before, state);
    const auditor = makeClient({ url: one.url, token: TOKENS.viewer, timeoutMs: 5000 });
    let { ok, entries, waiting, findings } = await verifyLive(auditor, { keys: [] });
    await until(async () => {
      ({ ok, entries, waiting, findings } = await verifyLive(auditor, { keys: [] }));
      return waiting === 0;
    }, 'all is sealed');
    assert.deepEqual([ok, findings], [true, []]);
    assert.ok(entries >= 2);
  });

  it('a replica that no longer hears etcd knows no issued token, says so, and still knows those of the file', async () => {
    const { token } = await make('cut-off', 'viewer');
    await until(async () => (await statusAt(two, token)) === 200, 'it is known', 1000);
    line.cut();
    try {
      await one.ask('DELETE', '/v1/tokens/cut-off');
      await sleep(1100);
      for (let i = 0; i < 3; i++) {
        const reply = await two.ask('GET', '/v1/status', by(token));
        assert.deepEqual([reply.status, reply.body.code], [503, 'store-unavailable']);
        assert.ok(Number(reply.headers.get('retry-after')) >= 1);
      }
      assert.equal((await two.ask('GET', '/v1/status')).status, 200);
    } finally {
      line.pass();
    }
    await until(async () => (await statusAt(two, token)) === 401, 'it is refused');
  });

  it('a token revoked while its poll is held gets no answer but 401', async () => {
    const { token } = await make('held', 'proxy');
    await until(async () => (await one.ask('GET', '/v1/ruleset', by(token, poll(0)))).status === 200, 'it is known', 1000);
    const has = (await one.ask('GET', '/v1/ruleset', by(token, poll(0)))).headers.get('etag') ?? '';
    const held = one.ask('GET', '/v1/ruleset', by(token, { ...poll(2), 'if-none-match': has }));
    await sleep(100);
    await one.ask('DELETE', '/v1/tokens/held');
    assert.equal((await held).status, 401);
  });

  const poll = (wait: number) => ({ 'x-hfi-proxy': 'held-proxy', 'x-hfi-namespace': 'demo', prefer: `wait=${wait}` });

  async function range(prefix: string): Promise<{ kvs?: { key: string; value: string }[] }> {
    const end = `${prefix.slice(0, -1)}0`;
    const answer = await fetch(`${etcd.url}/v3/kv/range`, {
      method: 'POST',
      body: JSON.stringify({ key: Buffer.from(prefix).toString('base64'), range_end: Buffer.from(end).toString('base64') }),
    });
    return (await answer.json()) as { kvs?: { key: string; value: string }[] };
  }

  /** Everything of HFI that lies in etcd, as text. */
  async function etcdKeys(): Promise<{ stdout: string }> {
    const { kvs = [] } = await range('/hfi/');
    return {
      stdout: kvs.map(({ key, value }) => Buffer.from(key, 'base64').toString() + Buffer.from(value, 'base64').toString()).join('\n'),
    };
  }

  async function endNow(name: string): Promise<void> {
    const { kvs = [] } = await range('/hfi/principals/');
    const key = Buffer.from(`/hfi/principals/${name}`).toString('base64');
    const value = JSON.parse(Buffer.from(kvs.find((pair) => pair.key === key)?.value ?? '', 'base64').toString());
    const ended = Buffer.from(JSON.stringify({ ...value, expiresAt: Date.now() - 1 })).toString('base64');
    await fetch(`${etcd.url}/v3/kv/put`, { method: 'POST', body: JSON.stringify({ key, value: ended }) });
  }
});
