import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inNode } from './in-node.ts';
import { runCases } from './runner.ts';

const abort = { metadata: { name: 'p' }, spec: { rules: [{ fault: { abort: { httpStatus: 503, body: 'no' } } }] } };
const delay = { metadata: { name: 'd' }, spec: { rules: [{ fault: { delay: { fixed_delay_ms: 100 } } }] } };
const half = { metadata: { name: 'p' }, spec: { rules: [{ fault: { percentage: 50, abort: { httpStatus: 503 } } }] } };
const second = { metadata: { name: 'p' }, spec: { rules: [{ match: { every: 2 }, fault: { abort: { httpStatus: 503 } } }] } };
const TRUE = { name: 'true', policies: [abort], expect: { fault: 'abort', policy: 'p', rule: 0, status: 503, body: 'no' } };
const FALSE = { name: 'false', policies: [abort], expect: { fault: 'none' } };

/** What the service gets of the request of a case that says nothing of it. */
const ASKED = {
  method: 'GET',
  path: '/',
  headers: [
    ['host', 'x'],
    ['x-forwarded-proto', 'http'],
    ['x-request-id', '6f6ab3a2-8f7b-4c2b-9d0e-3f1f0c9a7b55'],
  ],
  body: '',
};

/** What was got in the one case, or undefined when it passed. */
async function got(value: unknown): Promise<unknown> {
  const { passed, failures } = await runCases([{ place: 'f:1', value }], inNode());
  assert.equal(passed + failures.length, 1);
  return failures[0]?.got;
}

describe('conformance: the runner can fail', () => {
  const aborted = { fault: 'abort', policy: 'p', rule: 0, status: 503 };
  const delayed = { fault: 'delay', status: 200 };
  const rows: [string, object, object][] = [
    ['another fault', { policies: [abort], expect: { fault: 'delay' } }, aborted],
    ['a fault that did not come', { policies: [], expect: { fault: 'abort' } }, { fault: 'none', status: 200 }],
    ['another policy', { policies: [abort], expect: { policy: 'q' } }, aborted],
    ['another rule', { policies: [abort], expect: { rule: 1 } }, aborted],
    ['another status', { policies: [abort], expect: { status: 500 } }, aborted],
    ['another body', { policies: [abort], expect: { body: 'yes' } }, { ...aborted, body: 'no' }],
    ['a shorter delay', { policies: [delay], expect: { delayMs: 99 } }, { ...delayed, delayMs: 100 }],
    ['another path at the service', { policies: [], expect: { service: { path: '/a' } } }, { fault: 'none', status: 200 }],
    ['another body at the service', { policies: [], expect: { service: { body: 'a' } } }, { fault: 'none', status: 200 }],
    ['a header too few at the service', { policies: [], expect: { service: { headers: [['x-a', '1']] } } }, { fault: 'none', status: 200 }],
    ['a longer delay', { policies: [delay], expect: { delayMs: 101 } }, { ...delayed, delayMs: 100 }],
    ["a delay's other policy", { policies: [delay], expect: { policy: 'p' } }, { ...delayed, policy: 'd', rule: 0 }],
    ['a higher share', { policies: [half], repeat: 100, expect: { rate: 1 } }, { requests: 100, allowed: [100, 100] }],
    ['a lower share', { policies: [half], repeat: 1000, expect: { rate: 0.4 } }, { requests: 1000, allowed: [349, 451] }],
    ['a request more that is hit', { policies: [second], repeat: 4, expect: { hit: [2] } }, { hit: [2, 4] }],
    ['a request less that is hit', { policies: [second], repeat: 4, expect: { hit: [2, 3, 4] } }, { hit: [2, 4] }],
    ['a request that is hit otherwise', { policies: [second], repeat: 2, expect: { hit: [2], status: 500 } }, { status: 503, request: 2 }],
    ['a service that is asked', { policies: [], expect: { service: false } }, { service: ASKED }],
    ['a service that is not asked', { policies: [abort], expect: { service: { method: 'GET' } } }, { service: false }],
    ['another path at the service', { policies: [], expect: { service: { path: '/a' } } }, { service: ASKED }],
    ['another body at the service', { policies: [], expect: { service: { body: 'a' } } }, { service: ASKED }],
    ['a header that the service lacks', { policies: [], expect: { service: { headers: [['x-a', '1']] } } }, { service: ASKED }],
    ['a header that the service has', { policies: [], expect: { service: { headers: [['x-request-id', null]] } } }, { service: ASKED }],
    ['a header that must not be there', { policies: [abort], expect: { headers: [['x-hfi-fault', null]] } }, aborted],
    ['one of many', { policies: [half], repeat: 100, expect: { fault: 'abort' } }, { fault: 'none', status: 200 }],
    ['a refusal that did not come', { policies: [abort], invalid: ['spec'] }, { invalid: [] }],
    ['a refusal of another field', { policies: [{ ...abort, x: 1 }], invalid: ['y'] }, { invalid: ['x'] }],
    ['a refusal of one field less', { policies: [{ ...abort, x: 1 }], invalid: ['x', 'y'] }, { invalid: ['x'] }],
  ];
  for (const [what, given, wanted] of rows) {
    it(what, async () => {
      const found = await got({ name: what, ...given });
      assert.ok(typeof found === 'object' && found !== null, 'it passed');
      assert.deepEqual({ ...found, ...wanted }, found);
    });
  }

  it('a header that is missing', async () => {
    const found = await got({ name: 'n', policies: [abort], expect: { headers: [['x-a', '1']] } });
    assert.match(JSON.stringify(found), /"headers":\[\["x-hfi-fault","p\/0"\]/);
  });

  const unrunnable: [string, unknown, RegExp][] = [
    ['an unknown field', { ...TRUE, reqest: {} }, /reqest is no field here \(did you mean request\?\)/],
    ['an unknown field further in', { ...TRUE, request: { metod: 'GET' } }, /request\.metod is no field here \(did you mean method\?\)/],
    ['an unknown expectation', { ...TRUE, expect: { fualt: 'none' } }, /expect\.fualt is no field here \(did you mean fault\?\)/],
    ['an unknown fault', { ...TRUE, expect: { fault: 'abrot' } }, /expect\.fault must be none or abort.*\(did you mean abort\?\)/],
    ['no expectation', { name: 'n', policies: [] }, /needs one of expect and invalid/],
    ['two expectations', { ...TRUE, invalid: ['x'] }, /needs one of expect and invalid/],
    ['an empty expectation', { name: 'n', policies: [], expect: {} }, /expects nothing/],
    ['an expectation of an empty service', { ...TRUE, expect: { service: {} } }, /expect\.service expects nothing/],
    ['both rate and hit', { ...TRUE, expect: { rate: 1, hit: [1] } }, /takes one of rate and hit, not both/],
    ['a request beyond the last', { ...TRUE, repeat: 2, expect: { hit: [3] } }, /expect\.hit names a request beyond the last, 2/],
    ['a field of the wrong type', { ...TRUE, repeat: 'twice' }, /repeat must be a number, not text/],
    ['no policies', { name: 'n', expect: { fault: 'none' } }, /policies is missing/],
    ['no object', 5, /the case must be an object/],
    ['a policy that is refused', { ...TRUE, policies: [{ ...abort, x: 1 }] }, /a policy is refused: x is no field here/],
    ['two policies of one name', { ...TRUE, policies: [abort, half] }, /two policies are named p/],
  ];
  for (const [what, given, reason] of unrunnable) {
    it(`a case that can't be run: ${what}`, async () => {
      const found = await got(given);
      assert.match((found as { error: string }).error, reason);
    });
  }

  const change = {
    metadata: { name: 'c' },
    spec: { rules: [{ fault: { request: { headers: { set: { a: '1' } } }, response: { status: 201 } } }] },
  };
  const turns = { metadata: { name: 't' }, spec: { rules: [{ match: { after: 2 }, fault: { delay: { fixed_delay_ms: 1 } } }] } };
  const mixed = {
    metadata: { name: 'm' },
    spec: { rules: [{ match: { every: 2 }, fault: { abort: { httpStatus: 503 } } }, { fault: { delay: { fixed_delay_ms: 1 } } }] },
  };
  const shadow = { metadata: { name: 's' }, spec: { ...abort.spec, mode: 'shadow' } };
  const exception = { metadata: { name: 'e' }, spec: { rules: [{ fault: { percentage: 0, abort: { httpStatus: 503 } } }] } };
  const reset = {
    metadata: { name: 'r' },
    spec: { rules: [{ match: { sequence: ['none', 'fault'] }, fault: { abort: { reset: true } } }] },
  };
  const cut = { metadata: { name: 'x' }, spec: { rules: [{ fault: { response: { truncate: { bytes: 1 } } } }] } };
  const bySource = {
    metadata: { name: 'o' },
    spec: { direction: 'outbound', rules: [{ ...abort.spec.rules[0], match: { source: { namespace: 'a' } } }] },
  };
  const caller = { proxy: { direction: 'outbound' }, request: { source: 'spiffe://t/ns/a/sa/b' } };
  const passing: [string, object][] = [
    ['the plainest case', TRUE],
    [
      'nulls, which are as good as missing',
      { ...TRUE, request: { body: null }, upstream: null, invalid: null, expect: { fault: 'abort', body: null } },
    ],
    ['each word for what was done: the answer', { policies: [change], expect: { fault: 'response', policy: 'c', rule: 0 } }],
    ['each word for what was done: the request', { policies: [change], expect: { fault: 'request', policy: 'c', rule: 0 } }],
    [
      'a delay that has its turn, by its rule',
      { policies: [turns], repeat: 4, expect: { fault: 'delay', policy: 't', rule: 0, rate: 0.5 } },
    ],
    ['a share of one fault among others', { policies: [mixed], repeat: 100, expect: { fault: 'abort', rule: 0, rate: 0.5 } }],
    ['a share of what is let be', { policies: [half], repeat: 100, expect: { fault: 'none', rate: 0.5 } }],
    ['no share of faults', { policies: [exception], repeat: 100, expect: { fault: 'none', rate: 0 } }],
    ['the rule that only counted', { policies: [shadow], expect: { fault: 'none', policy: 's', rule: 0 } }],
    ['the rule whose dice were lost', { policies: [exception], expect: { fault: 'none', policy: 'e', rule: 0 } }],
    [
      'a reset that has its turn, by its rule',
      { policies: [reset], repeat: 2, expect: { fault: 'reset', policy: 'r', rule: 0, status: 0, rate: 0.5 } },
    ],
    ['an answer that is broken off', { policies: [cut], expect: { fault: 'reset', policy: 'x', status: 200, body: 'o' } }],
    ['an answer that is broken off, which changes it', { policies: [cut], expect: { fault: 'response', rule: 0 } }],
    ['a caller of outbound requests, whom nobody sees', { policies: [bySource], ...caller, expect: { fault: 'none' } }],
    ["a service's own header of ours", { policies: [], upstream: { headers: [['x-hfi-fault', 'p/0']] }, expect: { fault: 'none' } }],
  ];
  for (const [what, given] of passing) it(`and pass: ${what}`, async () => assert.equal(await got({ name: what, ...given }), undefined));
});

describe('conformance: the command', function () {
  this.timeout(60_000);
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'hfi-conformance-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const file = (name: string, ...lines: unknown[]): string => {
    const at = path.join(folder, name);
    writeFileSync(at, `${lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')}\n`);
    return at;
  };
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(import.meta.dirname, 'main.ts'), ...args], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, INIT_CWD: folder },
    });
    return { status, stdout, stderr, last: stdout.trimEnd().split('\n').at(-1) };
  };

  it('exits with 0 when all pass, over several files', () => {
    file('a.jsonl', TRUE, '', TRUE);
    const { status, last, stdout } = run('--cases', 'a.jsonl', '--cases', file('b.jsonl', TRUE));
    assert.deepEqual({ status, last, stdout }, { status: 0, last: '3 passed, 0 failed', stdout: '3 passed, 0 failed\n' });
  });

  it('exits with 1 when one fails, and says which', () => {
    const { status, last, stdout } = run('--cases', file('a.jsonl', TRUE, FALSE, { policies: [] }));
    assert.deepEqual({ status, last }, { status: 1, last: '1 passed, 2 failed' });
    assert.match(stdout, /failed: false\n {2}expected {"fault":"none"}\n {2}got {6}{"fault":"abort"/);
    assert.match(stdout, /failed: .*a\.jsonl:3\n/);
  });

  it('prints one JSON object and nothing else', () => {
    const at = file('a.jsonl', TRUE, FALSE);
    const { status, stdout } = run('--cases', at, '--output', 'json');
    assert.equal(status, 1);
    assert.deepEqual(JSON.parse(stdout), {
      passed: 1,
      failed: 1,
      failures: [{ name: 'false', expected: { fault: 'none' }, got: { fault: 'abort', policy: 'p', rule: 0, status: 503 } }],
    });
  });

  it('fails a line that is no JSON, and runs the others', () => {
    const { status, last, stdout } = run('--cases', file('a.jsonl', TRUE, '{"name":', TRUE));
    assert.deepEqual({ status, last }, { status: 1, last: '2 passed, 1 failed' });
    assert.match(stdout, /failed: .*a\.jsonl:2\n {2}expected null\n {2}got {6}{"error":"can't be run: is no JSON: /);
  });

  it('exits with 2 for a wrong call', () => {
    const rows: [string[], RegExp][] = [
      [['--cases', path.join(folder, 'none.jsonl')], /there is no file .*none\.jsonl/],
      [['--cases', file('empty.jsonl', '')], /empty\.jsonl has no cases/],
      [['--cases', folder], /can't be read/],
      [['--in', 'nginx'], /--in is node or envoy, not nginx/],
      [['--output', 'yaml'], /--output is text or json/],
      [['--case', 'x'], /--case/],
      [['x'], /x/],
    ];
    for (const [args, reason] of rows) {
      const { status, stdout, stderr } = run(...args);
      assert.deepEqual({ status, stdout }, { status: 2, stdout: '' }, args.join(' '));
      assert.match(stderr, reason);
      assert.match(stderr, /usage: npm run conformance/);
    }
  });
});
