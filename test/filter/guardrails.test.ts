import assert from 'node:assert/strict';
import { Guard } from '../../services/control-plane/guardrails/guard.ts';
import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { guardrails } from '../../services/policy/guardrails.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Envoy, made } from './envoy.ts';

const abort = (httpStatus: number) => ({ abort: { httpStatus } });
const WORKLOAD = { namespace: 'shop', workload: 'w', labels: {} };

describe('filter: forbidden paths', () => {
  const guard = new Guard(
    guardrails.parse({
      requireEnd: false,
      forbiddenPaths: ['/healthz', { prefix: '/internal/' }, { regex: '/v[0-9]+/health' }, { suffix: '.PING', ignoreCase: true }],
    }),
    undefined,
  );

  /** The status that each path is answered with; undefined when it passes. */
  function answers(rules: PolicyInput['spec']['rules'], paths: readonly string[]): (number | undefined)[] {
    const envoy = new Envoy();
    const allowed = guard.allowed({ policy: made('p', { rules }), appliedAt: Math.round(envoy.now) }, WORKLOAD);
    assert.ok(allowed !== undefined);
    envoy.serveBytes(compileRuleset([allowed], envoy.now));
    return paths.map((path) => envoy.request([[':path', path]]).replies[0]?.status);
  }

  const FORBIDDEN = ['/healthz', '/healthz?x=1', '/internal/', '/internal/a?b', '/v1/health', '/v22/health', '/a.ping', '/b.PING?x'];
  const OTHERS = ['/', '/healthz/', '/health', '/internal', '/v/health', '/v1/health/x', '/a.pingx', '/x?y=/healthz'];

  it('are never hit by a rule for everything, and everything else is', () => {
    assert.deepEqual(
      answers([{ fault: abort(503) }], FORBIDDEN),
      FORBIDDEN.map(() => undefined),
    );
    assert.deepEqual(
      answers([{ fault: abort(503) }], OTHERS),
      OTHERS.map(() => 503),
    );
  });

  it('are never hit, whatever a rule matches by', () => {
    for (const match of [
      { path: { regex: '/.*' } },
      { path: { contains: 'e' } },
      { path: { prefix: '/' } },
      { anyOf: [{ path: { exact: '/healthz' } }, { path: { prefix: '/internal' } }, { method: { exact: 'GET' } }] },
      { not: { path: { exact: '/nothing' } } },
      { headers: [{ name: ':path', prefix: '/' }] },
    ]) {
      assert.deepEqual(
        answers([{ match, fault: abort(503) }], FORBIDDEN),
        FORBIDDEN.map(() => undefined),
        JSON.stringify(match),
      );
      assert.equal(answers([{ match, fault: abort(503) }], ['/else'])[0], 503, JSON.stringify(match));
    }
  });

  it('are left alone by every rule, not handed to the next one', () => {
    const rules = [{ match: { path: { prefix: '/h' } }, fault: abort(500) }, { fault: abort(503) }];
    assert.deepEqual(answers(rules, ['/healthz', '/hello', '/internal/x', '/x']), [undefined, 500, undefined, 503]);
  });
});
