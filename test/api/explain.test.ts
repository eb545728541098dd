import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { FILTER_PATH } from '../../build/filter.ts';
import type { Explanation } from '../../services/control-plane/explain/answer.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';

const ABORT = { abort: { httpStatus: 503 } } as const;
const DEMO = { namespace: 'demo', service: 'frontend' };
const PROXY = 'sidecar~10.0.0.1~frontend-v1-0.demo~demo.svc.cluster.local';

type Rules = PolicyInput['spec']['rules'];

const made = (name: string, rules: Rules, spec: Partial<PolicyInput['spec']> = {}) => ({ metadata: { name }, spec: { ...spec, rules } });

describe('API: explain', function () {
  this.timeout(60_000);
  let processes: Processes;
  let replica: Replica;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    replica = await Replica.start(processes, etcd.url);
    await replica.put('in-force', { selector: { service: 'backend' }, rules: [{ fault: ABORT }] });
    await replica.poll({ name: PROXY });
  });
  after(() => processes.end());

  async function explained(question: object): Promise<Explanation> {
    const { status, body, text } = await replica.ask('POST', '/v1/explain', { body: { proxy: DEMO, ...question } });
    assert.equal(status, 200, text);
    return body as unknown as Explanation;
  }

  /** What is said of the one policy `p` with these rules. */
  async function ofRules(rules: Rules, question: object = {}, spec: Partial<PolicyInput['spec']> = {}) {
    const { verdict, policies } = await explained({ policies: [made('p', rules, spec)], ...question });
    const policy = policies.find(({ name }) => name === 'p');
    assert.ok(policy);
    return { verdict, policy, rules: policy.rules, states: policy.rules.map(({ state }) => state) };
  }

  it('the first rule that matches decides; the next is behind it, and another says what the request lacks', async () => {
    const { verdict, rules, states } = await ofRules(
      [
        { match: { path: { prefix: '/api' }, headers: [{ name: 'X-User', exact: 'test' }] }, fault: ABORT },
        { match: { path: { prefix: '/api' } }, fault: ABORT },
        { fault: ABORT },
      ],
      { request: { path: '/api/x', headers: [['x-user', 'bob']] } },
    );
    assert.deepEqual(verdict, { outcome: 'fault', fault: true, rule: 'p/1', percent: 100 });
    assert.deepEqual(states, ['no-match', 'decides', 'behind']);
    assert.deepEqual(rules[0]?.unmet, [
      { path: 'spec.rules[0].match.headers[0]', wants: { headers: [{ name: 'x-user', exact: 'test' }] }, has: 'bob' },
    ]);
    assert.equal(rules[2]?.behind, 'p/1');
  });

  it('says what of anyOf, not, source and grpc does not hold, and nothing of what does', async () => {
    const { rules } = await ofRules(
      [
        { match: { anyOf: [{ method: { exact: 'POST' } }, { path: { exact: '/a' }, port: 1 }] }, fault: ABORT },
        { match: { not: { path: { prefix: '/a' } }, method: { exact: 'GET' } }, fault: ABORT },
        { match: { source: { namespace: 'shop', labels: { app: 'web' } }, grpc: { service: 's' } }, fault: ABORT },
      ],
      { request: { path: '/a', source: 'spiffe://c/ns/demo/sa/x', peer: { labels: { app: 'app' } } } },
    );
    const told = rules.map(({ unmet }) => unmet.map(({ path, has }) => [path.replace(/^spec\.rules\[\d\]\.match\./, ''), has]));
    assert.deepEqual(told, [
      [
        ['anyOf', null],
        ['anyOf[0].method', 'GET'],
        ['anyOf[1].port', null],
      ],
      [['not', null]],
      [
        ['grpc.service', null],
        ['source.namespace', 'demo'],
        ['source.labels.app', 'app'],
      ],
    ]);
  });

  it('says of chance how much it is, and draws nothing', async () => {
    const { verdict } = await ofRules([{ fault: { percentage: 12.5, ...ABORT } }]);
    assert.deepEqual(verdict, { outcome: 'chance', fault: true, rule: 'p/0', percent: 12.5 });
    const none = await ofRules([{ fault: { percentage: 0, ...ABORT } }, { fault: ABORT }]);
    assert.deepEqual(none.verdict, { outcome: 'none', fault: false, rule: 'p/0', percent: 0 });
    assert.deepEqual(none.states, ['decides', 'behind']);
  });

  it('dice that stick to a value: some values are hit, and one that is not there never is', async () => {
    const rule = { fault: { percentage: 50, sticky: { header: 'x-user', seed: 7 }, ...ABORT } };
    const hit: boolean[] = [];
    for (let i = 0; i < 16; i++) {
      const { rules, verdict } = await ofRules([rule], { request: { headers: [['x-user', `user-${i}`]] } });
      assert.equal(rules[0]?.sticky?.value, `user-${i}`);
      assert.equal(verdict.outcome, rules[0]?.sticky?.hit === true ? 'fault' : 'none');
      hit.push(rules[0]?.sticky?.hit === true);
    }
    assert.deepEqual([...new Set(hit)].sort(), [false, true]);
    const { rules } = await ofRules([rule]);
    assert.deepEqual([rules[0]?.sticky?.value, rules[0]?.sticky?.hit, rules[0]?.percent], [null, false, 0]);
  });

  it('what hangs on earlier requests may decide, and the next one too', async () => {
    const { verdict, states, rules } = await ofRules([
      { match: { after: 3 }, fault: ABORT },
      { match: { limit: 2 }, fault: ABORT },
      { fault: ABORT },
      { fault: ABORT },
    ]);
    assert.deepEqual(verdict, { outcome: 'counts', fault: true, rule: 'p/0', percent: null });
    assert.deepEqual(states, ['may-decide', 'may-decide', 'may-decide', 'behind']);
    assert.deepEqual([rules[0]?.turns, rules[1]?.turns, rules[2]?.turns], [{ after: 3 }, { limit: 2 }, null]);
  });

  it('shadow, windows and ends', async () => {
    const { verdict } = await ofRules([{ fault: ABORT }], {}, { mode: 'shadow' });
    assert.deepEqual([verdict.outcome, verdict.fault, verdict.rule], ['shadow', false, 'p/0']);
    const { states } = await ofRules([
      { match: { window: { end: '2020-01-01T00:00:00Z' } }, fault: ABORT },
      { match: { window: { start: '2999-01-01T00:00:00Z' } }, fault: ABORT },
      { fault: { ...ABORT, duration_seconds: 60 } },
    ]);
    assert.deepEqual(states, ['ended', 'not-yet', 'decides']);
  });

  it('health probes are left alone, and it says so', async () => {
    const probe = { request: { headers: [['user-agent', 'kube-probe/1.30']] } };
    const { verdict, rules } = await ofRules([{ fault: ABORT }, { match: { probes: true }, fault: ABORT }], probe);
    assert.equal(verdict.rule, 'p/1');
    assert.deepEqual(rules[0]?.unmet, [{ path: 'spec.rules[0].match.probes', wants: { probes: true }, has: 'kube-probe/1.30' }]);
  });

  it('policies come in the order of decision, and say why they are not asked', async () => {
    const { policies, verdict } = await explained({
      policies: [
        made('b', [{ fault: ABORT }]),
        made('a', [{ fault: ABORT }], { priority: -1 }),
        made('out', [{ fault: ABORT }], { direction: 'outbound', priority: 9 }),
        made('far', [{ fault: ABORT }], { selector: { namespace: 'demo', labels: { version: 'v2' } }, priority: 5 }),
      ],
    });
    assert.deepEqual(
      policies.map(({ name, state, given }) => [name, state, given]),
      [
        ['out', 'other-direction', true],
        ['far', 'not-selected', true],
        ['b', 'asked', true],
        ['in-force', 'not-selected', false],
        ['a', 'asked', true],
      ],
    );
    assert.equal(verdict.rule, 'b/0');
    const [, far, , there] = policies;
    assert.deepEqual(far?.unmet, [{ path: 'spec.selector.labels["version"]', wants: { labels: { version: 'v2' } }, has: null }]);
    assert.deepEqual(there?.unmet, [{ path: 'spec.selector.service', wants: { service: 'backend' }, has: 'frontend' }]);
  });

  it('a policy that comes along takes the place of the one in force, and changes nothing', async () => {
    const backend = { ...DEMO, service: 'backend' };
    assert.equal((await explained({ proxy: backend })).verdict.rule, 'in-force/0');
    const other = await explained({ proxy: backend, policies: [made('in-force', [{ match: { path: { exact: '/x' } }, fault: ABORT }])] });
    assert.deepEqual([other.verdict.outcome, other.policies.length], ['none', 1]);
    assert.equal((await explained({ proxy: backend })).verdict.outcome, 'fault');
  });

  it('finds a connected proxy by its name and its pod, and says what that one runs', async () => {
    const { headers } = await replica.poll({ name: PROXY });
    const version = headers.get('etag')?.replaceAll('"', '');
    for (const proxy of [PROXY, 'frontend-v1-0.demo', 'frontend-v1-0']) {
      const said = await explained({ proxy });
      assert.deepEqual([said.proxy.name, said.proxy.service, said.ruleset.version], [PROXY, 'frontend', version]);
    }
    const { status, body } = await replica.ask('POST', '/v1/explain', { body: { proxy: 'frontend-v1-1' } });
    assert.equal(status, 404);
    assert.match(String(body.detail), /No proxy "frontend-v1-1" is known/);
  });

  it('nothing selects a workload that opted out', async () => {
    const { proxy, verdict } = await explained({
      proxy: { ...DEMO, labels: { 'hfi.dev/faults': 'disabled' } },
      policies: [made('p', [{ fault: ABORT }])],
    });
    assert.equal(verdict.outcome, 'none');
    assert.match(proxy.reason ?? '', /hfi\.dev\/faults/);
  });

  it('a policy for every namespace is kept away from those of the system', async () => {
    const { verdict, policies } = await explained({
      proxy: { namespace: 'kube-system', service: 'dns' },
      policies: [made('p', [{ fault: ABORT }])],
    });
    assert.equal(verdict.outcome, 'none');
    assert.equal(policies.find(({ name }) => name === 'p')?.state, 'guarded');
  });

  it('asks the module that the proxies run, and says which', async () => {
    assert.equal((await explained({})).filter.sha256, createHash('sha256').update(readFileSync(FILTER_PATH)).digest('hex'));
  });

  it('lists so much and no more, whatever is in force, and answers others meanwhile', async () => {
    const rules = Array.from({ length: 3000 }, (_, i) => ({ match: { path: { exact: `/${i}` } }, fault: ABORT }));
    const asking = explained({ policies: [made('p', rules)], request: { path: '/2999' } });
    const health = await replica.ask('GET', '/healthz', { role: 'none' });
    assert.equal(health.status, 200);
    const { verdict, policies, omitted, ruleset } = await asking;
    assert.equal(verdict.rule, 'p/2999');
    assert.deepEqual([policies.find(({ name }) => name === 'p')?.rules.length, omitted.rules, ruleset.version], [1001, 1999, null]);
  });

  it('works on four at a time, refuses a fifth, and is free again afterwards', async () => {
    const rules = Array.from({ length: 300 }, (_, i) => ({ match: { path: { exact: `/${i}` } }, fault: ABORT }));
    const body = { proxy: DEMO, policies: [made('p', rules)] };
    const replies = await Promise.all(Array.from({ length: 40 }, () => replica.ask('POST', '/v1/explain', { body })));
    const statuses = new Set(replies.map(({ status }) => status));
    assert.deepEqual([...statuses].sort(), [200, 429]);
    assert.ok(replies.filter(({ status }) => status === 200).length >= 4);
    assert.equal(replies.find(({ status }) => status === 429)?.headers.get('retry-after'), '1');
    assert.equal((await replica.ask('POST', '/v1/explain', { body })).status, 200);
  });

  const wrong: [string, object, string][] = [
    ['a path without a slash', { request: { path: 'x' } }, 'request.path'],
    ['a path with a fragment', { request: { path: '/x#y' } }, 'request.path'],
    ['a header with a line break', { request: { headers: [['a', 'b\r\nc']] } }, 'request.headers[0][1]'],
    ['a pseudo-header', { request: { headers: [[':path', '/']] } }, 'request.headers[0][0]'],
    [
      'more headers than Envoy takes',
      { request: { headers: Array.from({ length: 9 }, () => ['a', 'b'.repeat(8000)]) } },
      'request.headers',
    ],
    ['a policy', { policies: [made('p', [])] }, 'policies[0].spec.rules'],
    ['a proxy', { proxy: 7 }, 'proxy'],
    ['a field of a proxy', { proxy: { namespace: 'demo', servise: 'x' } }, 'proxy.servise'],
    ['an unknown field', { polices: [] }, 'polices'],
    ['too many policies', { policies: Array.from({ length: 101 }, (_, i) => made(`p${i}`, [{ fault: ABORT }])) }, 'policies'],
  ];
  for (const [what, question, path] of wrong) {
    it(`refuses ${what} and names it`, async () => {
      const { status, body } = await replica.ask('POST', '/v1/explain', { body: { proxy: DEMO, ...question } });
      assert.equal(status, 400);
      assert.ok(
        (body.errors as { path: string }[]).some((error) => error.path === path),
        JSON.stringify(body.errors),
      );
    });
  }

  it('two policies of one name are refused', async () => {
    const twice = [made('p', [{ fault: ABORT }]), made('p', [{ fault: ABORT }])];
    const { status, body } = await replica.ask('POST', '/v1/explain', { body: { proxy: DEMO, policies: twice } });
    assert.equal(status, 400);
    assert.deepEqual(body.errors, [{ path: 'policies[1].metadata.name', message: 'is the name of another one' }]);
  });

  it('refuses a body of more than a mebibyte', async () => {
    const { status } = await replica.ask('POST', '/v1/explain', { body: { proxy: DEMO, x: 'x'.repeat(1024 * 1024) } });
    assert.equal(status, 413);
  });

  it('a halt: says by whom, and that there is no fault, and still which rule would decide', async () => {
    await replica.ask('POST', '/v1/halt', { body: { namespace: 'demo', reason: 'enough' } });
    const { verdict, blocked, policies } = await explained({ policies: [made('p', [{ fault: ABORT }])] });
    await replica.ask('DELETE', '/v1/halt?namespace=demo');
    assert.deepEqual(verdict, { outcome: 'none', fault: false, rule: null, percent: 0 });
    assert.match(blocked ?? '', /namespace "?demo"?.*halted.*the-admin.*enough/i);
    assert.equal(policies.find(({ name }) => name === 'p')?.rules[0]?.state, 'decides');
  });

  it('a token of a namespace is told of what it may read, and asks of nothing else', async () => {
    const { body } = await replica.ask('POST', '/v1/tokens', { body: { name: 'of-demo', role: 'viewer', namespaces: ['demo'] } });
    const ask = (question: object) =>
      replica.ask('POST', '/v1/explain', { role: 'none', headers: { authorization: `Bearer ${String(body.token)}` }, body: question });
    const own = await ask({ proxy: DEMO, policies: [made('p', [{ fault: ABORT }], { selector: { namespace: 'demo' } })] });
    assert.equal(own.status, 200, own.text);
    assert.deepEqual(
      (own.body as unknown as Explanation).policies.map(({ name }) => name),
      ['p'],
    );
    for (const [question, path] of [
      [{ proxy: { namespace: 'shop' } }, 'proxy.namespace'],
      [{ proxy: DEMO, policies: [made('p', [{ fault: ABORT }])] }, 'policies[0].spec.selector.namespace'],
    ] as const) {
      const reply = await ask(question);
      assert.equal(reply.status, 403, reply.text);
      assert.equal((reply.body.errors as { path: string }[])[0]?.path, path);
    }
  });

  it('is for every role but that of proxies', async () => {
    for (const [role, status] of [
      ['viewer', 200],
      ['editor', 200],
      ['proxy', 403],
      ['none', 401],
    ] as const) {
      assert.equal((await replica.ask('POST', '/v1/explain', { role, body: { proxy: DEMO } })).status, status, role);
    }
  });
});

describe('API: explain, with guardrails', function () {
  this.timeout(60_000);
  let processes: Processes;
  let replica: Replica;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    const file = `${processes.folder}/guardrails.json`;
    writeFileSync(file, JSON.stringify({ forbiddenPaths: [{ prefix: '/healthz' }], maxProxies: 1, maxInjectionsPerSecond: 20 }));
    replica = await Replica.start(processes, etcd.url, { env: { HFI_GUARDRAILS_FILE: file } });
    await replica.poll({ name: PROXY });
    const { status, text } = await replica.put('p', { selector: DEMO, rules: [{ fault: { ...ABORT, duration_seconds: 600 } }] });
    assert.equal(status, 201, text);
  });
  after(() => processes.end());

  const asked = async (proxy: unknown, path: string): Promise<Explanation> => {
    const { status, body, text } = await replica.ask('POST', '/v1/explain', { body: { proxy, request: { path } } });
    assert.equal(status, 200, text);
    return body as unknown as Explanation;
  };

  it('a forbidden path is named as such, and another is faulted', async () => {
    const { verdict, blocked } = await asked(PROXY, '/healthz/live');
    assert.deepEqual([verdict.outcome, blocked], ['none', 'the guardrail forbiddenPaths keeps every fault away from this path']);
    assert.deepEqual((await asked(PROXY, '/other')).verdict, { outcome: 'fault', fault: true, rule: 'p/0', percent: 100 });
  });

  it('a proxy that runs what it should runs the version that is told, with its share of the budget in it', async () => {
    const first = await replica.poll({ name: PROXY });
    const runs = (first.headers.get('etag') ?? '').replaceAll('"', '');
    await replica.poll({ name: PROXY, has: `"${runs}"` });
    assert.deepEqual((await asked(PROXY, '/other')).ruleset, { version: runs, running: runs });
  });

  it('a proxy that the guardrails did not choose is kept away', async () => {
    const { verdict, policies } = await asked(DEMO, '/other');
    assert.deepEqual([verdict.outcome, policies.map(({ state }) => state)], ['none', ['guarded']]);
  });
});
