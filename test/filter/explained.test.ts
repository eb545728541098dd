import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FILTER_PATH } from '../../build/filter.ts';
import { explain } from '../../services/control-plane/explain/explain.ts';
import { filterModuleAt } from '../../services/control-plane/explain/filter-module.ts';
import { partsOf } from '../../services/control-plane/explain/parts.ts';
import { asEnvoyHands } from '../../services/control-plane/explain/request.ts';
import { systemRuntime } from '../../services/control-plane/runtime.ts';
import { type Match, type Policy, type PolicyInput, policy } from '../../services/policy/schema.ts';
import { decide } from '../conformance/oracle.ts';
import { cookieValue, headerValue, matches, type Request } from '../conformance/oracle-match.ts';
import { request, spec } from './drawn.ts';

/** What is explained, against the slow matcher written from the reference: who decides, and each part of each match. */

const RUNS = Number(process.env.HFI_EXPLAIN_RUNS ?? 150);
const NOW = Date.UTC(2026, 0, 1);
const place = { namespace: 'demo', workload: 'frontend-v1', labels: { app: 'frontend', version: 'v1' } };

type Spec = typeof spec extends fc.Arbitrary<infer T> ? T : never;

function parsed(drawn: readonly Spec[]): Policy[] {
  return drawn.map((one, i) => {
    const rules = one.rules.map(({ match, duration, sticky }) => ({
      ...(match && { match }),
      fault: { duration_seconds: duration, ...(sticky && { sticky }), abort: { httpStatus: 503 } },
    }));
    return policy.parse({ metadata: { name: `p${i}` }, spec: { ...one, rules } } as PolicyInput);
  });
}

const textOf = (latin: string): string => Buffer.from(latin, 'latin1').toString('utf8');

/** What a request has of a header or a cookie, by the oracle; undefined for other fields. */
function shownBy(asked: Request, wants: Readonly<Record<string, unknown>>): string | null | undefined {
  const [header] = (wants.headers ?? []) as { name: string }[];
  const [cookie] = (wants.cookies ?? []) as { name: string }[];
  if (header === undefined && cookie === undefined) return undefined;
  const value = header === undefined ? cookieValue(asked, cookie?.name ?? '') : headerValue(asked, header.name);
  return value === undefined ? null : textOf(value);
}

describe('explain: equals the oracle', () => {
  it(`in ${RUNS} drawn sets of policies, in every part of every match`, async function () {
    this.timeout(60_000 + RUNS * 200);
    const filter = filterModuleAt(FILTER_PATH)();
    assert.ok(filter);
    const seen = { decided: 0, unmet: 0, inside: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(spec, { minLength: 1, maxLength: 5 }),
        request,
        fc.constantFrom('inbound' as const, 'inbound' as const, 'outbound' as const),
        fc.constantFrom(0, 9_999, 10_000),
        async (drawn, asked, direction, age) => {
          const policies = parsed(drawn);
          const appliedAt = NOW - age;
          const { cluster, headers, ...rest } = asked;
          const request = {
            ...rest,
            headers: headers.map(([name, value]): [string, string] => [name, value]),
            cluster: cluster || undefined,
          };
          const { verdict, policies: told } = await explain(systemRuntime, filter, {
            policies: policies.map((one) => ({
              stored: { policy: one, createdAt: appliedAt, appliedAt, revision: 1 },
              given: false,
            })),
            over: () => new Set(),
            guard: (entry) => entry,
            halted: undefined,
            proxy: { ...place, name: null, running: null, wanted: null },
            direction,
            asked: asEnvoyHands(request as Parameters<typeof asEnvoyHands>[0], direction, 'x'),
            now: NOW,
          });
          const about = JSON.stringify({ policies, asked, direction });
          const expected = decide(
            policies.map((one) => ({ policy: one, appliedAt })),
            { ...place, direction },
            asked,
            NOW,
          );
          assert.equal(verdict.fault ? verdict.rule : undefined, expected && `${expected.policy}/${expected.rule}`, about);
          if (expected) seen.decided++;

          const holds = (match: Match): boolean => matches({ ...match, probes: true }, asked, direction === 'outbound');
          for (const { name, state, rules } of told) {
            if (state !== 'asked') continue;
            const { spec: own } = policies.find(({ metadata }) => metadata.name === name) ?? { spec: undefined };
            for (const [i, rule] of rules.entries()) {
              if (rule.state === 'ended') continue;
              const match = own?.rules[i]?.match ?? {};
              const isFor = matches(match, asked, direction === 'outbound');
              assert.equal(rule.state !== 'no-match', isFor, `${rule.name}: ${about}`);
              // Whatever the parts are, all of them together are the match.
              assert.equal(rule.unmet.length === 0, isFor, `${rule.name}: ${about}`);
              const fails = partsOf(match, `spec.rules[${i}].match`).filter(({ alone }) => !holds(alone as Match));
              const spared = matches({}, asked, false) || match.probes === true ? [] : [`spec.rules[${i}].match.probes`];
              const top = rule.unmet.filter(({ path }) => !path.includes('.anyOf['));
              assert.deepEqual(
                top.map(({ path }) => path),
                [...fails.map(({ path }) => path), ...spared],
                about,
              );
              for (const { path, wants, has } of rule.unmet) {
                seen.unmet++;
                if (path.includes('.anyOf[')) seen.inside++;
                if (wants.probes === undefined) assert.ok(!holds(wants as Match), `${path} of ${name}: ${about}`);
                const shown = shownBy(asked, wants);
                if (shown !== undefined) assert.equal(has, shown, `${path} of ${name}: ${about}`);
              }
            }
          }
        },
      ),
      { numRuns: RUNS },
    );
    assert.ok(seen.decided > RUNS * 0.1 && seen.unmet > RUNS && seen.inside > RUNS * 0.1, JSON.stringify(seen));
  });
});
