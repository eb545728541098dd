import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Policy, type PolicyInput, policy } from '../../services/policy/schema.ts';
import { selects } from '../../services/policy/selector.ts';
import { decide, type ProxyPlace, type Request } from '../conformance/oracle.ts';
import { Envoy } from './envoy.ts';

/** Compiler, selector and filter together against the slow matcher written from the reference. */

const word = fc.constantFrom('a', 'b', 'ab', 'a,b', 'é', 'abc');
const path = fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const matcher = (value: fc.Arbitrary<string>) =>
  fc.oneof(
    value.map((exact) => ({ exact })),
    value.map((prefix) => ({ prefix })),
  );
const headerName = fc.constantFrom('x-a', 'X-B', 'x-ab', 'host', ':authority', ':path', ':method', 'user-agent');

const match = fc.record(
  {
    method: matcher(fc.constantFrom('GET', 'POST', 'P')),
    path: matcher(path),
    headers: fc.array(
      fc
        .tuple(headerName, matcher(fc.oneof(word, path, fc.constantFrom('GET', 'a', 'kube-probe/1'))))
        .map(([name, value]) => ({ name, ...value })),
      { maxLength: 2 },
    ),
    probes: fc.boolean(),
  },
  { requiredKeys: [] },
);

const rule = fc.record({
  match: fc.option(match, { nil: undefined }),
  duration: fc.constantFrom(0, 0, 0, 10),
});

const spec = fc.record({
  selector: fc.record(
    {
      namespace: fc.constantFrom('demo', 'other', '*'),
      service: fc.constantFrom('frontend', 'backend', '*'),
      workload: fc.constantFrom('frontend-v1', '*'),
      labels: fc.constantFrom({ version: 'v1' }, { version: '*' }, { version: 'v2' }),
    },
    { requiredKeys: [] },
  ),
  direction: fc.constantFrom('inbound' as const, 'inbound' as const, 'outbound' as const),
  priority: fc.integer({ min: -1, max: 1 }),
  rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
});

const request: fc.Arbitrary<Request> = fc.record({
  method: fc.constantFrom('GET', 'POST'),
  path: fc.tuple(path, fc.constantFrom('', '?a=b', '?', '#a', '?x#y')).map(([before, after]) => before + after),
  authority: fc.constantFrom('a', 'b', 'ab'),
  headers: fc.array(
    fc.tuple(fc.constantFrom('x-a', 'x-b', 'x-ab', 'x-other', 'user-agent'), fc.oneof(word, fc.constantFrom('kube-probe/1', 'Envoy/HC'))),
    { maxLength: 4 },
  ),
});

const proxy: ProxyPlace = { namespace: 'demo', workload: 'frontend-v1', labels: { app: 'frontend', version: 'v1' }, direction: 'inbound' };

function parsed(drawn: readonly (typeof spec extends fc.Arbitrary<infer T> ? T : never)[]): Policy[] {
  return drawn.map((one, i) => {
    const rules = one.rules.map(({ match: wanted, duration }, j) => ({
      ...(wanted === undefined ? {} : { match: wanted }),
      fault: { duration_seconds: duration, abort: { httpStatus: 400 + i * 10 + j } },
    }));
    return policy.parse({ metadata: { name: `p${(i * 7) % 10}` }, spec: { ...one, rules } } as PolicyInput);
  });
}

describe('filter: equals the oracle', () => {
  it('in 20,000 drawn sets of policies and requests', function () {
    this.timeout(180_000);
    const envoy = new Envoy();
    let decided = 0;
    fc.assert(
      fc.property(
        fc.array(spec, { maxLength: 6 }),
        fc.array(request, { minLength: 10, maxLength: 10 }),
        fc.constantFrom(0, 9_999, 10_000),
        (drawn, requests, age) => {
          const policies = parsed(drawn);
          const appliedAt = Math.round(envoy.now) - age;
          envoy.serve(
            policies.filter((one) => selects(one.spec.selector, proxy)),
            appliedAt,
          );
          for (const asked of requests) {
            const expected = decide(
              policies.map((one) => ({ policy: one, appliedAt })),
              proxy,
              asked,
              envoy.now,
            );
            const stream = envoy.vm.request(envoy.root, [
              [':method', asked.method],
              [':path', asked.path],
              [':authority', asked.authority],
              [':scheme', 'http'],
              ...asked.headers,
            ]);
            const got = stream.replies[0]?.headers.find(([name]) => name === 'x-hfi-fault')?.[1];
            assert.equal(got, expected && `${expected.policy}/${expected.rule}`, JSON.stringify({ policies, asked }));
            envoy.vm.end(stream);
            if (expected) decided++;
          }
        },
      ),
      { numRuns: 2000 },
    );
    assert.ok(decided > 3000, `only ${decided} of 20,000 requests met a rule: the drawing is too thin`);
  });
});
