import assert from 'node:assert/strict';
import { Replica, type Reply, type Role, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';

/** For each route of `/openapi.json` a good request, one that it must refuse, and who may not ask. */
interface Case {
  readonly good: (replica: Replica) => Promise<Reply>;
  readonly status: number;
  readonly bad: (replica: Replica) => Promise<Reply>;
  readonly refused: number;
  /** Roles that must get 403; `open` needs no token at all. */
  readonly forbidden: readonly Role[] | 'open';
  readonly path: string;
}

const spec = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };
const body = (name: string) => ({ metadata: { name }, spec });
const none: readonly Role[] = ['proxy'];

const REPORTER = { 'x-hfi-proxy': 'proxy-1', 'x-hfi-namespace': 'demo', 'x-hfi-epoch': '00000000000000aa' };

/** The beginning of a stream that has no end. */
async function watched(replica: Replica): Promise<Reply> {
  const leaving = new AbortController();
  const answer = await fetch(`${replica.url}/v1/events`, {
    headers: { authorization: `Bearer ${TOKENS.viewer}` },
    signal: leaving.signal,
  });
  leaving.abort();
  return { status: answer.status, headers: answer.headers, text: '', body: {} };
}

const CASES: Readonly<Record<string, Case>> = {
  'post /v1/policies': {
    good: (r) => r.ask('POST', '/v1/policies', { body: body('posted') }),
    status: 201,
    bad: (r) => r.ask('POST', '/v1/policies', { body: { metadata: { name: 'x' }, spec: { rules: [] } } }),
    refused: 400,
    forbidden: ['viewer', 'proxy'],
    path: '/v1/policies',
  },
  'get /v1/policies': {
    good: (r) => r.ask('GET', '/v1/policies'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/policies?limit=0'),
    refused: 400,
    forbidden: none,
    path: '/v1/policies',
  },
  'put /v1/policies/{name}': {
    good: (r) => r.put('putted', spec),
    status: 201,
    bad: (r) => r.ask('PUT', '/v1/policies/one', { body: body('other') }),
    refused: 400,
    forbidden: ['viewer', 'proxy'],
    path: '/v1/policies/putted',
  },
  'get /v1/policies/{name}': {
    good: (r) => r.ask('GET', '/v1/policies/there'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/policies/nowhere'),
    refused: 404,
    forbidden: none,
    path: '/v1/policies/there',
  },
  'delete /v1/policies/{name}': {
    good: (r) => r.ask('DELETE', '/v1/policies/goner'),
    status: 200,
    bad: (r) => r.ask('DELETE', '/v1/policies/nowhere'),
    refused: 404,
    forbidden: ['viewer', 'proxy'],
    path: '/v1/policies/goner',
  },
  'get /v1/ruleset': {
    good: (r) => r.poll(),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/ruleset', { role: 'proxy' }),
    refused: 400,
    forbidden: ['viewer', 'editor'],
    path: '/v1/ruleset',
  },
  'post /v1/reports': {
    good: (r) => r.ask('POST', '/v1/reports', { role: 'proxy', body: { rules: [] }, headers: REPORTER }),
    status: 204,
    bad: (r) => r.ask('POST', '/v1/reports', { role: 'proxy', body: { rules: 'none' }, headers: REPORTER }),
    refused: 400,
    forbidden: ['viewer', 'editor'],
    path: '/v1/reports',
  },
  'get /v1/policies/{name}/counts': {
    good: (r) => r.ask('GET', '/v1/policies/there/counts'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/policies/nowhere/counts'),
    refused: 404,
    forbidden: none,
    path: '/v1/policies/there/counts',
  },
  'get /v1/policies/{name}/stop-conditions': {
    good: (r) => r.ask('GET', '/v1/policies/there/stop-conditions'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/policies/nowhere/stop-conditions'),
    refused: 404,
    forbidden: none,
    path: '/v1/policies/there/stop-conditions',
  },
  'post /v1/explain': {
    good: (r) => r.ask('POST', '/v1/explain', { body: { proxy: { namespace: 'demo' } } }),
    status: 200,
    bad: (r) => r.ask('POST', '/v1/explain', { body: { proxy: { namespace: 'demo' }, request: { path: 'x' } } }),
    refused: 400,
    forbidden: none,
    path: '/v1/explain',
  },
  'get /v1/proxies': {
    good: (r) => r.ask('GET', '/v1/proxies'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/proxies?scope=galaxy'),
    refused: 400,
    forbidden: none,
    path: '/v1/proxies',
  },
  'get /v1/rollout': {
    good: (r) => r.ask('GET', '/v1/rollout?revision=1'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/rollout?revision=soon'),
    refused: 400,
    forbidden: none,
    path: '/v1/rollout?revision=1',
  },
  'post /v1/policies/{name}/renew': {
    good: async (r) => {
      await r.put('renewed', { ...spec, lease: '1h' });
      return r.ask('POST', '/v1/policies/renewed/renew');
    },
    status: 200,
    bad: (r) => r.ask('POST', '/v1/policies/nowhere/renew'),
    refused: 404,
    forbidden: ['viewer', 'proxy'],
    path: '/v1/policies/renewed/renew',
  },
  'get /v1/history': {
    good: (r) => r.ask('GET', '/v1/history'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/history?limit=0'),
    refused: 400,
    forbidden: none,
    path: '/v1/history',
  },
  'get /v1/audit/seals': {
    good: (r) => r.ask('GET', '/v1/audit/seals'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/audit/seals?cursor=x'),
    refused: 400,
    forbidden: none,
    path: '/v1/audit/seals',
  },
  'post /v1/halt': {
    good: (r) => r.ask('POST', '/v1/halt', { body: { namespace: 'nowhere' } }),
    status: 200,
    bad: (r) => r.ask('POST', '/v1/halt', { body: { namespace: 'No Where' } }),
    refused: 400,
    forbidden: ['viewer', 'proxy'],
    path: '/v1/halt',
  },
  'get /v1/halt': {
    good: (r) => r.ask('GET', '/v1/halt'),
    status: 200,
    bad: (r) => r.ask('PUT', '/v1/halt'),
    refused: 405,
    forbidden: none,
    path: '/v1/halt',
  },
  'delete /v1/halt': {
    good: (r) => r.ask('DELETE', '/v1/halt?namespace=nowhere'),
    status: 200,
    bad: (r) => r.ask('DELETE', '/v1/halt?namespaces=nowhere'),
    refused: 400,
    forbidden: ['editor', 'viewer', 'proxy'],
    path: '/v1/halt',
  },
  'get /v1/audit': {
    good: (r) => r.ask('GET', '/v1/audit'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/audit?limit=x'),
    refused: 400,
    forbidden: none,
    path: '/v1/audit',
  },
  'post /v1/tokens': {
    good: (r) => r.ask('POST', '/v1/tokens', { body: { name: 'made', role: 'viewer' } }),
    status: 201,
    bad: (r) => r.ask('POST', '/v1/tokens', { body: { name: 'Made', role: 'viewer' } }),
    refused: 400,
    forbidden: ['editor', 'viewer', 'proxy'],
    path: '/v1/tokens',
  },
  'get /v1/tokens': {
    good: (r) => r.ask('GET', '/v1/tokens'),
    status: 200,
    bad: (r) => r.ask('PUT', '/v1/tokens'),
    refused: 405,
    forbidden: ['editor', 'viewer', 'proxy'],
    path: '/v1/tokens',
  },
  'delete /v1/tokens/{name}': {
    good: (r) => r.ask('DELETE', '/v1/tokens/made'),
    status: 200,
    bad: (r) => r.ask('DELETE', '/v1/tokens/nobody'),
    refused: 404,
    forbidden: ['editor', 'viewer', 'proxy'],
    path: '/v1/tokens/made',
  },
  'get /v1/guardrails': {
    good: (r) => r.ask('GET', '/v1/guardrails'),
    status: 200,
    bad: (r) => r.ask('PUT', '/v1/guardrails'),
    refused: 405,
    forbidden: none,
    path: '/v1/guardrails',
  },
  'get /v1/status': {
    good: (r) => r.ask('GET', '/v1/status'),
    status: 200,
    bad: (r) => r.ask('GET', '/v1/status?scope=x'),
    refused: 400,
    forbidden: none,
    path: '/v1/status',
  },
  'get /v1/events': {
    good: watched,
    status: 200,
    bad: (r) => r.ask('GET', '/v1/events', { headers: { 'last-event-id': 'x'.repeat(65) } }),
    refused: 400,
    forbidden: none,
    path: '/v1/events',
  },
  'get /healthz': open('/healthz'),
  'get /readyz': open('/readyz'),
  'get /metrics': open('/metrics'),
  'get /docs': open('/docs'),
};

/** What anybody may read; another method is nothing here. */
function open(path: string): Case {
  return {
    good: (r) => r.ask('GET', path, { role: 'none' }),
    status: 200,
    bad: (r) => r.ask('DELETE', path),
    refused: 405,
    forbidden: 'open',
    path,
  };
}

describe('API: every route', () => {
  let processes: Processes;
  let replica: Replica;

  before(async function () {
    this.timeout(60_000);
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    replica = await Replica.start(processes, etcd.url);
    for (const name of ['there', 'goner']) await replica.put(name, spec);
  });
  after(() => processes.end());

  it('of the document has its cases here', async () => {
    const { body: document } = await replica.ask('GET', '/openapi.json', { role: 'none' });
    assert.equal(document.openapi, '3.1.0');
    const paths = document.paths as Record<string, Record<string, unknown>>;
    const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`));
    assert.deepEqual(routes.sort(), Object.keys(CASES).sort());
  });

  for (const [route, one] of Object.entries(CASES)) {
    it(`${route}: answers a good request`, async () => {
      const reply = await one.good(replica);
      assert.equal(reply.status, one.status, reply.text);
    });

    it(`${route}: refuses a bad one as problem+json`, async () => {
      const reply = await one.bad(replica);
      assert.equal(reply.status, one.refused, reply.text);
      assert.match(reply.headers.get('content-type') ?? '', /^application\/problem\+json/);
      assert.equal(reply.body.status, one.refused);
      assert.equal(reply.body.type, `urn:hfi:problem:${reply.body.code}`);
    });

    it(`${route}: lets nobody in who may not`, async () => {
      const method = (route.split(' ')[0] ?? '').toUpperCase();
      const roles = one.forbidden;
      if (roles === 'open') {
        assert.equal((await replica.ask(method, one.path, { role: 'none', headers: { authorization: 'Bearer nonsense' } })).status, 200);
        return;
      }
      for (const authorization of [undefined, 'Bearer wrong-token-wrong-token', 'Basic YTpi', 'Bearer', `bearer admin-token-012345678`]) {
        const reply = await replica.ask(method, one.path, { role: 'none', headers: authorization === undefined ? {} : { authorization } });
        assert.equal(reply.status, 401, `${authorization}: ${reply.text}`);
        assert.ok(!reply.text.includes('wrong-token'), 'the token is not repeated');
      }
      for (const role of roles) assert.equal((await replica.ask(method, one.path, { role })).status, 403, role);
    });
  }

  it('says which methods an address has, and that nothing is at another', async () => {
    const patch = await replica.ask('PATCH', '/v1/policies/there', { body: {} });
    assert.deepEqual([patch.status, patch.headers.get('allow')], [405, 'GET, PUT, DELETE']);
    assert.equal((await replica.ask('OPTIONS', '/v1/status')).status, 405);
    assert.equal((await replica.ask('GET', '/v1/nothing')).status, 404);
  });

  it('names a parameter that a route does not have, and what a bad one must be', async () => {
    const unknown = await replica.ask('GET', '/v1/policies?limits=5');
    assert.deepEqual([unknown.status, unknown.body.detail], [400, 'query.limits: is no parameter here.']);
    const text = await replica.ask('GET', '/v1/rollout?revision=soon');
    assert.equal(text.body.detail, 'query.revision: must be a number, not text.');
  });

  it('a name that is too long is a problem like any other, wherever it stands', async () => {
    const long = 'x'.repeat(1025);
    const replies = await Promise.all([
      replica.poll({ name: long }),
      replica.ask('POST', '/v1/reports', { role: 'proxy', body: { rules: [] }, headers: { ...REPORTER, 'x-hfi-proxy': long } }),
      replica.ask('DELETE', `/v1/tokens/${long}`),
      replica.ask('GET', `/v1/policies/${long}`),
    ]);
    for (const { status, headers, body: problem } of replies)
      assert.deepEqual([status, headers.get('content-type'), problem.code], [400, 'application/problem+json', 'invalid']);
  });

  it('says in every answer that it is a control plane', async () => {
    for (const path of ['/healthz', '/v1/nothing', '/v1/policies'])
      assert.match((await replica.ask('GET', path, { role: 'none' })).headers.get('hfi-control-plane') ?? '', /^\d/, path);
  });

  it('writes no token into its log', () => {
    assert.ok(replica.log.includes('answered'));
    assert.ok(!/-token-0123456789|wrong-token/.test(replica.log));
  });
});
