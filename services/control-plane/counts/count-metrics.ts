import { Counter } from 'prom-client';
import type { Metrics } from '../metrics.ts';
import { KINDS, matched, REASONS, type Tally } from './tally.ts';

/** So many policies have labels of their own, those that counted first; the others share one. */
const MOST_POLICIES = 100;
const OTHER = 'other';

/**
 * Counts on the metrics page what this replica has put into etcd: each count is put there once, by one replica, so the sum over all
 * replicas is what the fleet counted.
 */
export function countMetrics({ registry }: Metrics): (policy: string, growth: Tally) => void {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]): Counter<Label> =>
    new Counter({ name, help, labelNames, registers });
  const matches = counter('hfi_matches_total', 'Requests that a rule of the policy decided.', 'policy');
  const injected = counter('hfi_injected_requests_total', 'Requests that were hit.', 'policy');
  const injections = counter('hfi_injections_total', 'Faults that were done, by kind.', 'policy', 'kind');
  const skipped = counter('hfi_skipped_total', 'Requests that a rule matched and let be, by the reason.', 'policy', 'reason');
  const named = new Set<string>();
  return (name, growth) => {
    if (!named.has(name) && named.size < MOST_POLICIES) named.add(name);
    const policy = named.has(name) ? name : OTHER;
    matches.inc({ policy }, positive(matched(growth)));
    injected.inc({ policy }, positive(growth.injected));
    for (const kind of KINDS) if (positive(growth[kind]) > 0) injections.inc({ policy, kind }, growth[kind]);
    for (const reason of REASONS) if (positive(growth[reason]) > 0) skipped.inc({ policy, reason }, growth[reason]);
  };
}

function positive(value = 0): number {
  return Math.max(0, value);
}
