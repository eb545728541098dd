import assert from 'node:assert/strict';
import { policyEnd, ruleEnd } from '../../services/policy/end.ts';
import { type Policy, type PolicyInput, policy } from '../../services/policy/schema.ts';

type FaultInput = PolicyInput['spec']['rules'][number]['fault'];

/** A policy with one rule for each fault. */
function withFaults(...faults: FaultInput[]): Policy {
  return policy.parse({ metadata: { name: 'p' }, spec: { rules: faults.map((fault) => ({ fault })) } });
}

const abort = { httpStatus: 503 };

describe('the end of rules and policies', () => {
  it('a rule ends its duration after the apply, to the millisecond', () => {
    const [rule] = withFaults({ abort, duration_seconds: 7 }).spec.rules;
    assert.equal(rule && ruleEnd(rule, 1_000_123), 1_007_123);
  });

  it('a rule without duration never ends', () => {
    const [rule] = withFaults({ abort }).spec.rules;
    assert.equal(rule && ruleEnd(rule, 1_000_123), 0);
  });

  it('a policy ends with its last rule', () => {
    assert.equal(policyEnd(withFaults({ abort, duration_seconds: 2 }, { abort, duration_seconds: 9 }), 1000), 10_000);
  });

  it('one rule without end keeps the policy for ever', () => {
    assert.equal(policyEnd(withFaults({ abort, duration_seconds: 2 }, { abort }), 1000), 0);
  });
});
