import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { policyJsonSchema } from '../../build/docs/schema.ts';
import { faultInWords } from '../../cli/words.ts';
import { fault } from '../../services/policy/fault.ts';
import { policy } from '../../services/policy/schema.ts';

const abort = { httpStatus: 503 };

/** Faults as people write them, and whether they may be. */
const FAULTS: [what: string, fault: object, allowed: boolean][] = [
  ['abort', { abort }, true],
  ['gRPC abort', { abort: { grpcStatus: 14 } }, true],
  ['abort with both statuses', { abort: { httpStatus: 503, grpcStatus: 14 } }, false],
  ['abort without a status', { abort: { body: 'x' } }, false],
  ['delay in words', { delay: { fixed_delay: '2s' } }, true],
  ['delay in milliseconds', { delay: { fixed_delay_ms: 2000 } }, true],
  ['delay in both', { delay: { fixed_delay: '2s', fixed_delay_ms: 2000 } }, false],
  ['delay without a length', { delay: {} }, false],
  ['delay and abort', { delay: { fixed_delay: '2s' }, abort }, true],
  ['65 headers', { abort: { httpStatus: 503, headers: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`h${i}`, 'x'])) } }, false],
  ['nothing to do', { percentage: 5 }, false],
  ['a percentage over 100', { abort, percentage: 100.5 }, false],
  ['an unknown field', { abort, percent: 5 }, false],
];

const MATCHES: [what: string, match: object, allowed: boolean][] = [
  ['exact', { path: { exact: '/a' } }, true],
  ['exact and prefix', { path: { exact: '/a', prefix: '/a' } }, false],
  ['neither', { path: {} }, false],
  ['a header', { headers: [{ name: 'x', prefix: 'y' }] }, true],
  ['a header with nothing to compare', { headers: [{ name: 'x' }] }, false],
];

describe('policy schema', () => {
  const inEditor = new Ajv2020({ strict: false }).compile(policyJsonSchema());
  const document = (rule: object) => ({ metadata: { name: 'p' }, spec: { rules: [rule] } });

  for (const [what, rule, allowed] of [
    ...FAULTS.map(([text, value, ok]) => [text, { fault: value }, ok] as const),
    ...MATCHES.map(([text, value, ok]) => [`match: ${text}`, { match: value, fault: { abort } }, ok] as const),
  ]) {
    it(`${allowed ? 'takes' : 'refuses'} ${what}, and so does an editor with the JSON Schema`, () => {
      assert.equal(policy.safeParse(document(rule)).success, allowed);
      assert.equal(inEditor(document(rule)), allowed);
    });
  }
});

describe('a policy that is kept', () => {
  for (const [what, match, action] of [
    ['names and labels by a text alone', { source: { workload: 'web', labels: { app: 'web', role: '*' } }, cluster: 'a' }, { abort }],
    ['a path by a text alone', {}, { request: { path: '/a', query: { set: { a: '1' } } } }],
    ['a status alone', { headers: [{ name: 'Host', exact: 'a' }] }, { response: { status: 500 }, ifStatus: 200 }],
    ['a delay by a header', {}, { delay: { header: { name: 'X-Delay', max: '1s' } } }],
  ] as const) {
    it(`is the same when it is read again: ${what}`, () => {
      const kept = policy.parse({ metadata: { name: 'p' }, spec: { rules: [{ match, fault: action }] } });
      assert.deepEqual(policy.parse(JSON.parse(JSON.stringify(kept))), kept);
    });
  }
});

describe('what only the control plane checks', () => {
  it('takes 10,000 rules, and not one more', () => {
    const rules = (count: number) => ({
      metadata: { name: 'p' },
      spec: { rules: Array.from({ length: count }, () => ({ fault: { abort } })) },
    });
    assert.ok(policy.safeParse(rules(10_000)).success);
    const { error } = policy.safeParse(rules(10_001));
    assert.deepEqual(
      error?.issues.map(({ path, code }) => [path.join('.'), code]),
      [['spec.rules', 'too_big']],
    );
  });

  it('refuses a body for a status that has none', () => {
    const { error } = fault.safeParse({ abort: { httpStatus: 204, body: 'x' } });
    assert.equal(error?.issues[0]?.message, 'can not go with 204, which has no body');
  });
});

describe('faults in words', () => {
  for (const [what, text, words] of [
    ['abort', { abort, percentage: 12.5 }, 'abort with 503, for 12.5 % of them'],
    ['gRPC abort', { abort: { grpcStatus: 14 } }, 'abort with gRPC status 14'],
    ['all in a row', { start_delay_ms: 5, delay: { fixed_delay: '2s' }, abort }, 'wait 5 ms, then delay 2s, then abort with 503'],
    ['a delay in milliseconds', { delay: { fixed_delay_ms: 20 } }, 'delay 20 ms'],
    [
      'an answer of one status',
      { abort: { httpStatus: 503, at: 'response' }, ifStatus: 200 },
      'abort with 503 when the service has answered, if status 200',
    ],
    [
      'answers of a range',
      { response: { status: 500 }, ifStatus: { from: 200, to: 299 } },
      'response with status 500, if status from 200 to 299',
    ],
    ['what the dice stick to', { abort, percentage: 5, sticky: { cookie: 'id' } }, 'abort with 503, for 5 % of them, by cookie id'],
  ] as const) {
    it(`tells ${what}`, () => assert.equal(faultInWords(fault.parse(text)), words));
  }

  it('tells a kind that it has no words for by its name and its fields', () => {
    const newKinds = { reset: true, throttle: '10KiB/s', truncate: { at: 100, end: false } };
    assert.equal(
      faultInWords({ ...fault.parse({ abort }), ...newKinds }),
      'abort with 503, then reset, then throttle 10KiB/s, then truncate with at 100, end false',
    );
  });

  it('tells a new condition by its name and its fields', () => {
    const newConditions = { ifGrpcStatus: 14, ifSize: { from: 1, to: 9 } };
    assert.equal(faultInWords({ ...fault.parse({ abort }), ...newConditions }), 'abort with 503, if grpc status 14, if size from 1 to 9');
  });
});
