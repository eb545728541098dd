import { compileRuleset } from '../../services/control-plane/ruleset/compile.ts';
import { type PolicyInput, policy } from '../../services/policy/schema.ts';

type Rules = PolicyInput['spec']['rules'];

/** The ruleset of one policy with these inbound rules; none gives the empty ruleset. */
export function rulesetOf(rules: Rules): Uint8Array {
  const now = Date.now();
  if (rules.length === 0) return compileRuleset([], now);
  return compileRuleset([{ policy: policy.parse({ metadata: { name: 'bench' }, spec: { rules } }), appliedAt: now }], now);
}

/**
 * Rules that meet no request of the benchmarks, mixed as people write them: by user, by path, by both, by a header that no
 * request has. Each would fire always, so that the dice never spare the match.
 */
export function rulesThatMiss(count: number): Rules {
  const fault = { abort: { httpStatus: 503 } };
  return Array.from({ length: count }, (_, i) => {
    const kinds = [
      { headers: [{ name: 'x-user', exact: `user-${i}` }] },
      { path: { prefix: `/api/orders/${1000 + i}/` } },
      { path: { exact: `/api/invoices/${i}` }, headers: [{ name: 'x-tenant', exact: `tenant-${i}` }] },
      { headers: [{ name: 'x-canary', prefix: `group-${i}` }] },
    ];
    return { match: kinds[i % kinds.length] ?? {}, fault };
  });
}

/** Rules whose expressions on the path meet no request of the benchmarks, mixed as people write them. */
export function regexesThatMiss(count: number): Rules {
  const fault = { abort: { httpStatus: 503 } };
  return Array.from({ length: count }, (_, i) => {
    const kinds = [
      `/api/orders/${1000 + i}/[0-9]+`,
      `/api/(invoices|receipts)/${i}(/.*)?`,
      `/v[0-9]+/users/[a-z]+-${i}`,
      `/static/.*\\.${i}\\.(js|css)`,
    ];
    return { match: { path: { regex: kinds[i % kinds.length] ?? '' } }, fault };
  });
}

/** The same rules, each for so many of a hundred requests. */
export function inSomeRequests(rules: Rules, percentage: number): Rules {
  return rules.map((rule) => ({ ...rule, fault: { ...rule.fault, percentage } }));
}
