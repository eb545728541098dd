import type { Policy } from '../../services/policy/schema.ts';
import { cookieValue, headerValue, matches, type Request } from './oracle-match.ts';

/**
 * What the policy reference promises, written slowly and obviously. Shares no code with the compiler, the selector or the
 * filter: it is what they are compared with.
 */

export interface ProxyPlace {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly direction: 'inbound' | 'outbound';
}

export interface Decision {
  readonly policy: string;
  readonly rule: number;
}

/**
 * Which rule's fault the request gets, every percentage being 100, at a time in milliseconds since the epoch; `undefined` when none matches
 * or the one that decides sticks to a value that the request lacks.
 */
export function decide(
  policies: readonly { policy: Policy; appliedAt: number }[],
  proxy: ProxyPlace,
  request: Request,
  now: number,
): Decision | undefined {
  const asked = policies
    .filter(({ policy }) => policy.spec.direction === proxy.direction && selected(policy, proxy))
    .sort((a, b) => (a.policy.metadata.name < b.policy.metadata.name ? -1 : 1))
    .sort((a, b) => b.policy.spec.priority - a.policy.spec.priority);
  for (const { policy, appliedAt } of asked) {
    for (const [index, rule] of policy.spec.rules.entries()) {
      const seconds = rule.fault.duration_seconds;
      if (seconds > 0 && now >= appliedAt + seconds * 1000) continue;
      if (!matches(rule.match, request, proxy.direction === 'outbound')) continue;
      return hasStickyValue(rule.fault, request) ? { policy: policy.metadata.name, rule: index } : undefined;
    }
  }
  return undefined;
}

function selected(policy: Policy, proxy: ProxyPlace): boolean {
  const { namespace, service, workload, labels } = policy.spec.selector;
  const canonical =
    proxy.labels['service.istio.io/canonical-name'] || proxy.labels['app.kubernetes.io/name'] || proxy.labels.app || proxy.workload;
  const any = (wanted: string | undefined, actual: string): boolean => wanted === undefined || wanted === '*' || wanted === actual;
  if (!any(namespace, proxy.namespace) || !any(service, canonical) || !any(workload, proxy.workload)) return false;
  return Object.entries(labels ?? {}).every(([key, value]) => key in proxy.labels && any(value, proxy.labels[key] ?? ''));
}

function hasStickyValue({ sticky }: Policy['spec']['rules'][number]['fault'], request: Request): boolean {
  if (sticky?.header !== undefined) return headerValue(request, sticky.header) !== undefined;
  return sticky?.cookie === undefined || cookieValue(request, sticky.cookie) !== undefined;
}
