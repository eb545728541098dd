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
const TRUE = { name: 'true', policies: [abort], expect: { fault: 'abort', policy: 'p', rule: 0, status: 503, body: 'no' } };
const FALSE = { name: 'false', policies: [abort], expect: { fault: 'none' } };

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
    ['another path at the service', { policies: [], expect: { arrived: { path: '/a' } } }, { fault: 'none', status: 200 }],
    ['another body at the service', { policies: [], expect: { arrived: { body: 'a' } } }, { fault: 'none', status: 200 }],
    ['a header too few at the service', { policies: [], expect: { arrived: { headers: [['x-a', '1']] } } }, { fault: 'none', status: 200 }],
    ['a request that did not get there', { policies: [abort], expect: { arrived: {} } }, { ...aborted, arrived: null }],
    ['a longer delay', { policies: [delay], expect: { delayMs: 101 } }, { ...delayed, delayMs: 100 }],
    ["a delay's other policy", { policies: [delay], expect: { policy: 'p' } }, { ...delayed, policy: 'd', rule: 0 }],
    ['a higher share', { policies: [half], repeat: 100, expect: { rate: 1 } }, { requests: 100, allowed: [100, 100] }],
    ['a lower share', { policies: [half], repeat: 1000, expect: { rate: 0.4 } }, { requests: 1000, allowed: [349, 451] }],
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
    ['a field of the wrong type', { ...TRUE, repeat: 'twice' }, /repeat must be a number, not text/],
    ['no policies', { name: 'n', expect: { fault: 'none' } }, /policies is missing/],
    ['no object', 5, /the case must be an object/],
    ['a caller of outbound requests', { ...TRUE, proxy: { direction: 'outbound' }, request: { source: 'spiffe://a' } }, /request\.source/],
    ['a peer of outbound requests', { ...TRUE, proxy: { direction: 'outbound' }, request: { peer: {} } }, /request\.peer is of inbound/],
    ['a policy that is refused', { ...TRUE, policies: [{ ...abort, x: 1 }] }, /a policy is refused: x is no field here/],
    ['two policies of one name', { ...TRUE, policies: [abort, half] }, /two policies are named p/],
  ];
  for (const [what, given, reason] of unrunnable) {
    it(`a case that can't be run: ${what}`, async () => {
      const found = await got(given);
      assert.match((found as { error: string }).error, reason);
    });
  }

  it('and pass', async () => assert.equal(await got(TRUE), undefined));
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

  it('exits with 2 for a wrong call, and names file and line', () => {
    const rows: [string[], RegExp][] = [
      [['--cases', file('a.jsonl', TRUE, '{"name":')], /a\.jsonl:2 is no JSON/],
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
