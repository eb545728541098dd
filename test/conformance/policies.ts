import { type Applied, compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { type FieldError, fieldErrors } from '../../services/policy/problems.ts';
import { asOneDocument } from '../../services/policy/regex/work.ts';
import { type Policy, policy } from '../../services/policy/schema.ts';
import { canonicalService, type Identity, selects } from '../../services/policy/selector.ts';
import type { Case } from './case.ts';

/** A case's policies on their way to the proxy: checked, selected and compiled as the control plane does it. */

export interface Checked {
  readonly policies: readonly Policy[];
  readonly errors: readonly FieldError[];
}

/** Checks policies as the API does. */
export function checkPolicies(given: readonly unknown[]): Checked {
  const policies: Policy[] = [];
  const errors: FieldError[] = [];
  for (const one of given) {
    const result = asOneDocument(() => policy.safeParse(one, { reportInput: false }));
    if (result.success) policies.push(result.data);
    else errors.push(...fieldErrors(policy, result.error.issues, one));
  }
  return { policies, errors };
}

/** Who the case's proxy says it is. */
export function identityOf({ namespace, service, workload, labels }: Case['proxy']): Identity {
  const named = canonicalService({ namespace, workload: '', labels }) !== '';
  const added = named || service === '' ? {} : { 'service.istio.io/canonical-name': service };
  return { namespace, workload, labels: { ...labels, ...added } };
}

/** The ruleset of the proxy that these policies make, rules that ended since `appliedAt` included: the filter itself must leave those out. */
export function rulesetOf(policies: readonly Policy[], proxy: Identity, appliedAt: number): Uint8Array {
  const applied = policies.filter(({ spec }) => selects(spec.selector, proxy)).map((one): Applied => ({ policy: one, appliedAt }));
  return compileRuleset(applied, appliedAt);
}

/**
 * The same policies, each rule of which aborts at once: the answer names the rule that decides, which a reset, a lost draw and a rule that
 * does nothing don't tell. Which rule decides hangs on the matches alone.
 */
export function naming(policies: readonly Policy[]): Policy[] {
  return policies.map(({ metadata, spec }) => ({
    metadata,
    spec: {
      ...spec,
      mode: 'enforce',
      rules: spec.rules.map(({ match, fault: { duration_seconds } }) => ({
        ...(match && { match }),
        fault: { percentage: 100, start_delay_ms: 0, duration_seconds, abort: { httpStatus: 503 } },
      })),
    },
  }));
}
