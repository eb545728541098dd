import type { PolicyResource } from './policies.ts';

type Spec = PolicyResource['spec'];
type Rule = Spec['rules'][number];

type Match = NonNullable<Rule['match']>;
type Nested = NonNullable<Match['not']>;

/** How each comparison reads behind the name of what is compared. */
const COMPARISONS: Readonly<Record<string, string>> = {
  exact: '',
  prefix: 'beginning with ',
  suffix: 'ending with ',
  contains: 'containing ',
  regex: 'matching ',
};

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
export function matchInWords(match: Match | Nested | undefined): string {
  const parts = Object.entries(match ?? {}).flatMap(([field, value]) => partInWords(field, value));
  return parts.length === 0 ? 'every request' : parts.join(', ');
}

/** @param field a field of a match; one that has no words of its own is told by its name and value */
function partInWords(field: string, value: unknown): string[] {
  if (value === undefined) return [];
  if (field === 'not') return [`not (${matchInWords(value as Nested)})`];
  if (field === 'anyOf') return [`any of ${(value as Nested[]).map((one) => `(${matchInWords(one)})`).join(' ')}`];
  if (field === 'probes') return value === true ? ['health probes too'] : [];
  if (Array.isArray(value)) {
    if (value.every((one) => typeof one !== 'object')) return [`${field} ${value.join(', ')}`];
    const what = field === 'headers' ? 'header' : field === 'cookies' ? 'cookie' : 'query parameter';
    return value.map(({ name, ...one }: Record<string, unknown>) => comparisonInWords(`${what} ${String(name)}`, one));
  }
  if (typeof value !== 'object' || value === null) return [`${field} ${String(value)}`];
  if (Object.keys(value).some((key) => key in COMPARISONS)) return [comparisonInWords(field, value as Record<string, unknown>)];
  return Object.entries(value).flatMap(([inner, one]) => partInWords(`${field} ${inner}`, one));
}

function comparisonInWords(what: string, { ignoreCase, present, ...one }: Record<string, unknown>): string {
  if (present !== undefined) return `${what} ${present === true ? 'there' : 'not there'}`;
  const [[operation, text] = ['exact', '']] = Object.entries(one);
  return `${what} ${COMPARISONS[operation] ?? ''}${String(text)}${ignoreCase === true ? ' in any case' : ''}`;
}

/** `delay 2s, then abort with 503, for 12.5 % of them`. */
export function faultInWords({ percentage, start_delay_ms, duration_seconds, sticky, ...others }: Rule['fault']): string {
  const told = Object.entries(others).filter(([, value]) => value !== undefined);
  const steps = [
    ...(start_delay_ms === 0 ? [] : [`wait ${start_delay_ms} ms`]),
    ...told.filter(([field]) => !CONDITION.test(field)).map(([kind, value]) => kindInWords(kind, value, others)),
  ];
  const conditions = told.filter(([field]) => CONDITION.test(field)).map(([field, value]) => conditionInWords(field, value));
  return `${steps.join(', then ')}${conditions.join('')}${shareInWords(percentage)}${stickyInWords(sticky)}`;
}

/** A field of a fault that says only when it is done is called so; any other says what is done. */
const CONDITION = /^if(?=[A-Z])/;

/** `ifStatus` is `, if status 404`, or `, if status from 200 to 299`. */
function conditionInWords(field: string, value: unknown): string {
  const what = field.replace(CONDITION, '').replace(/(?<=[a-z])(?=[A-Z])/g, ' ');
  const parts = typeof value === 'object' && value !== null ? Object.entries(value).flat() : [value];
  return `, if ${what.toLowerCase()} ${parts.map(String).join(' ')}`;
}

function stickyInWords(sticky: Rule['fault']['sticky']): string {
  if (sticky === undefined) return '';
  return `, by ${sticky.header === undefined ? `cookie ${sticky.cookie}` : `header ${sticky.header}`}`;
}

function shareInWords(percentage: Rule['fault']['percentage']): string {
  if (typeof percentage === 'number') return percentage === 100 ? '' : `, for ${percentage} % of them`;
  const { from, to, over } = percentage.ramp;
  return `, for ${from} % of them ${to < from ? 'falling' : 'rising'} to ${to} % over ${over}`;
}

/** Delay and abort read best in a form of their own; any other kind is told by its name and its fields. */
function kindInWords(kind: string, value: unknown, { delay, abort }: Pick<Rule['fault'], 'delay' | 'abort'>): string {
  if (kind === 'delay' && Object.keys(delay ?? {}).length === 1) {
    if (delay?.fixed_delay !== undefined) return `delay ${delay.fixed_delay}`;
    if (delay?.fixed_delay_ms !== undefined) return `delay ${delay.fixed_delay_ms} ms`;
  }
  if (kind === 'abort' && abort !== undefined) {
    const late = abort.at === 'response' ? ' when the service has answered' : '';
    if (abort.reset === true) return `reset${late}`;
    return `abort with ${abort.grpcStatus === undefined ? abort.httpStatus : `gRPC status ${abort.grpcStatus}`}${late}`;
  }
  if (value === true) return kind;
  if (typeof value !== 'object' || value === null) return `${kind} ${String(value)}`;
  return `${kind} with ${Object.entries(value)
    .map(([name, part]) => `${name} ${typeof part === 'object' ? JSON.stringify(part) : String(part)}`)
    .join(', ')}`;
}
