import type { PolicyResource } from './policies.ts';

type Spec = PolicyResource['spec'];
type Rule = Spec['rules'][number];

interface Matcher {
  readonly exact?: string | undefined;
  readonly prefix?: string | undefined;
}

/** `service frontend in namespace demo`. */
export function selectorInWords({ namespace, service, workload, labels }: Spec['selector']): string {
  const any = (value: string | undefined): boolean => value === undefined || value === '*';
  const parts = [
    any(service) ? undefined : `service ${service}`,
    any(workload) ? undefined : `workload ${workload}`,
    ...Object.entries(labels ?? {}).map(([key, value]) => `label ${key}=${value}`),
  ].filter((part) => part !== undefined);
  const where = any(namespace) ? 'every namespace' : `namespace ${namespace}`;
  return `${parts.length === 0 ? 'every workload' : parts.join(', ')} in ${where}`;
}

/** `GET, path beginning with /api, header x-user is test`. */
export function matchInWords(match: Rule['match']): string {
  if (match === undefined) return 'every request';
  const matcher = (what: string, { exact, prefix }: Matcher): string =>
    exact === undefined ? `${what} beginning with ${prefix}` : `${what} ${exact}`;
  const parts = [
    ...(match.method === undefined ? [] : [matcher('method', match.method)]),
    ...(match.path === undefined ? [] : [matcher('path', match.path)]),
    ...(match.headers ?? []).map((header) => matcher(`header ${header.name}`, header)),
    ...(match.probes === true ? ['health probes too'] : []),
  ];
  return parts.length === 0 ? 'every request' : parts.join(', ');
}

/** `delay 2s, then abort with 503, for 12.5 % of them`. */
export function faultInWords({ percentage, start_delay_ms, duration_seconds, ...kinds }: Rule['fault']): string {
  const steps = [
    ...(start_delay_ms === 0 ? [] : [`wait ${start_delay_ms} ms`]),
    ...Object.entries(kinds).flatMap(([kind, value]) => (value === undefined ? [] : [kindInWords(kind, value, kinds)])),
  ];
  return `${steps.join(', then ')}${percentage === 100 ? '' : `, for ${percentage} % of them`}`;
}

/** Delay and abort read best in a form of their own; any other kind is told by its name and its fields. */
function kindInWords(kind: string, value: unknown, { delay, abort }: Pick<Rule['fault'], 'delay' | 'abort'>): string {
  if (kind === 'delay' && delay !== undefined) return `delay ${delay.fixed_delay ?? `${delay.fixed_delay_ms} ms`}`;
  if (kind === 'abort' && abort !== undefined) {
    return abort.grpcStatus === undefined ? `abort with ${abort.httpStatus}` : `abort with gRPC status ${abort.grpcStatus}`;
  }
  if (value === true) return kind;
  if (typeof value !== 'object' || value === null) return `${kind} ${String(value)}`;
  return `${kind} with ${Object.entries(value)
    .map(([name, part]) => `${name} ${typeof part === 'object' ? JSON.stringify(part) : String(part)}`)
    .join(', ')}`;
}
