import assert from 'node:assert/strict';
import { misfits } from './schemas.ts';
import { policyText, Stack } from './stack.ts';

const PROXY = 'sidecar~10.0.0.1~frontend-v1-0.demo~demo.svc.cluster.local';

const RULES = `metadata: { name: shop }
spec:
  selector: { namespace: demo, service: frontend }
  rules:
    - match: { method: { exact: POST }, headers: [{ name: x-user, exact: test }] }
      fault: { abort: { httpStatus: 500 } }
    - match: { anyOf: [{ path: { exact: /a } }, { query: [{ name: q, present: true }] }] }
      fault: { abort: { httpStatus: 501 } }
    - match: { path: { prefix: /api } }
      fault: { percentage: 12.5, delay: { fixed_delay: 2s } }
    - fault: { abort: { httpStatus: 503 } }
`;

describe('hfi explain', function () {
  this.timeout(60_000);
  let stack: Stack;
  let file: string;
  const explain = (...args: string[]) => stack.hfi(['explain', ...args]);

  before(async () => {
    stack = await Stack.start();
    file = stack.file('shop.yaml', RULES);
    await stack.server.poll({ name: PROXY });
    await stack.hfi(['policy', 'apply', '-f', '-'], { stdin: policyText('backend-only', '{ abort: { reset: true } }', 'backend') });
  });
  after(() => stack.end());

  it('of a file that is not applied: the verdict first, then each rule with what the request lacks', async () => {
    const { code, stdout, stderr } = await explain('-f', file, '--proxy', 'frontend-v1-0', '--path', '/api/x', '-H', 'x-user: bob');
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    assert.equal(
      stdout,
      `FAULT by shop/2 for 12.5 % of such requests: delay 2s
GET /api/x, inbound at service frontend in namespace demo (${PROXY})

shop  (as if applied now)
  0  no match    wants method POST; the request has "GET"
                 wants header x-user test; the request has "bob"
  1  no match    none of 2 holds:
                   wants path /a; the request has "/api/x"
                   wants query parameter q there; the request has none
  2  DECIDES     path beginning with /api: delay 2s, for 12.5 % of them
  3  behind      shop/2 decides before it; every request: abort with 503

Not asked:
  backend-only: selects service backend; the proxy has "frontend"
`,
    );
    const { body } = await stack.server.ask('GET', '/v1/policies');
    assert.equal((body.items as unknown[]).length, 1, 'nothing was applied');
  });

  it('of the policies in force; and the exit code is 0 with and without a fault', async () => {
    const backend = ['--namespace', 'demo', '--service', 'backend'];
    const hit = await explain(...backend);
    assert.deepEqual([hit.code, hit.stdout.split('\n')[0]], [0, 'FAULT by backend-only/0: reset']);
    const missed = await explain(...backend, '--direction', 'outbound');
    assert.deepEqual([missed.code, missed.stdout.split('\n')[0]], [0, 'NO FAULT: no rule is for this request']);
    assert.match(missed.stdout, /backend-only: is about inbound requests/);
  });

  it('a proxy that does not run them yet is warned of', async () => {
    const { stderr } = await explain('--proxy', PROXY);
    assert.match(stderr, /warning: the proxy does not run these policies yet/);
  });

  for (const [what, rule, args, verdict] of [
    ['shadow', '{ fault: { abort: { httpStatus: 503 } } }', [], 'NO FAULT: p/0 is in shadow and would only count: abort with 503'],
    ['no chance', '{ fault: { percentage: 0, abort: { httpStatus: 503 } } }', [], 'NO FAULT: p/0 decides, and its percentage is 0'],
    [
      'counts',
      '{ match: { every: 2 }, fault: { abort: { httpStatus: 503 } } }',
      [],
      'PERHAPS A FAULT by p/0, depending on how many requests matched before: abort with 503',
    ],
    [
      'a value that is missing',
      '{ fault: { sticky: { header: x-user }, abort: { httpStatus: 503 } } }',
      [],
      'NO FAULT: p/0 decides, and does not hit a request without header x-user',
    ],
    [
      'a value that is hit',
      '{ fault: { sticky: { header: x-user }, abort: { httpStatus: 503 } } }',
      ['-H', 'x-user: a'],
      'FAULT by p/0: abort with 503, by header x-user',
    ],
    [
      'a probe',
      '{ fault: { abort: { httpStatus: 503 } } }',
      ['-H', 'user-agent: kube-probe/1.30'],
      'NO FAULT: no rule is for this request',
    ],
  ] as const) {
    it(`says in a line: ${what}`, async () => {
      const mode = what === 'shadow' ? 'shadow' : 'enforce';
      const text = `metadata: { name: p }\nspec: { mode: ${mode}, rules: [${rule}] }\n`;
      const { stdout, stderr } = await explain('-f', stack.file('p.yaml', text), '--namespace', 'demo', ...args);
      assert.equal(stdout.split('\n')[0], verdict, stderr);
      if (what === 'a probe') assert.match(stdout, /leaves health probes alone, and this is one: user-agent kube-probe\/1\.30/);
    });
  }

  it('--output json fits its schema, also of what does not match', async () => {
    for (const args of [
      ['-f', file, '--proxy', PROXY, '--path', '/api'],
      ['-f', file, '--namespace', 'demo', '-l', 'app=frontend', '--caller', 'app=web', '--caller', 'workload=w'],
    ]) {
      const { code, stdout, stderr } = await explain(...args, '-o', 'json');
      assert.equal(code, 0, stderr);
      const value = JSON.parse(stdout) as { verdict: { fault: boolean }; policies: unknown[] };
      assert.deepEqual(misfits('explain', value), []);
      assert.deepEqual([value.verdict.fault, value.policies.length], [true, 2]);
    }
  });

  it('what is wrong with a policy is told at its line and column', async () => {
    const bad = stack.file('bad.yaml', policyText('bad', '{ abort: { httpStatuss: 503 } }'));
    const { code, stderr } = await explain('-f', bad, '--namespace', 'demo');
    assert.equal(code, 1);
    assert.match(stderr, /bad\.yaml:6:25: spec\.rules\[0\]\.fault\.abort\.httpStatuss: is no field here \(did you mean httpStatus\?\)/);
  });

  for (const [what, args, code, says] of [
    ['no proxy', [], 2, /Exactly one of the following must be provided: --namespace, --proxy/],
    ['two of them', ['--proxy', 'a', '--namespace', 'b'], 2, /--namespace|--proxy/],
    ['an unknown proxy', ['--proxy', 'nobody'], 4, /No proxy "nobody" is known/],
    ['a header that is none', ['--namespace', 'demo', '-H', 'x-user'], 2, /--header is "x-user"; write 'NAME: VALUE'/],
    ['a label that is none', ['--namespace', 'demo', '-l', 'app'], 2, /--label is "app"; write NAME=VALUE/],
    ['a path that is none', ['--namespace', 'demo', '--path', 'api'], 1, /request\.path must begin with `\/`/],
    ['a file that is not there', ['--namespace', 'demo', '-f', 'nowhere.yaml'], 1, /nowhere\.yaml: can not be read/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const ended = await explain(...args);
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, says);
      assert.equal(ended.stdout, '');
    });
  }
});
