import type { Policy } from '../../services/policy/schema.ts';

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

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** In the order sent; names in lower case, as Envoy keeps them. */
  readonly headers: readonly (readonly [string, string])[];
}

export interface Decision {
  readonly policy: string;
  readonly rule: number;
}

/** Which rule decides the request, at a time in milliseconds since the epoch; `undefined` when none matches. */
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
      if (matches(rule.match, request)) return { policy: policy.metadata.name, rule: index };
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

function matches(match: Policy['spec']['rules'][number]['match'], request: Request): boolean {
  const agent = headerValue(request, 'user-agent') ?? '';
  const isProbe = agent.startsWith('kube-probe/') || agent.startsWith('Envoy/HC');
  if (isProbe && match?.probes !== true) return false;
  if (match === undefined) return true;
  if (match.method !== undefined && !text(match.method, request.method)) return false;
  if (match.path !== undefined && !text(match.path, request.path.replace(/[?#].*$/s, ''))) return false;
  return (match.headers ?? []).every((header) => {
    const value = headerValue(request, header.name.toLowerCase());
    return value !== undefined && text(header, value);
  });
}

function text(matcher: { exact?: string | undefined; prefix?: string | undefined }, value: string): boolean {
  return matcher.exact !== undefined ? value === matcher.exact : value.startsWith(matcher.prefix ?? '');
}

function headerValue(request: Request, name: string): string | undefined {
  if (name === ':method') return request.method;
  if (name === ':path') return request.path;
  if (name === ':authority' || name === 'host') return request.authority;
  if (name === ':scheme') return 'http';
  const values = request.headers.filter(([key]) => key === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(',');
}
