import { parseDuration } from '../../policy/duration.ts';
import { ruleEnd } from '../../policy/end.ts';
import type { Guardrails } from '../../policy/guardrails.ts';
import type { Policy, Rule } from '../../policy/schema.ts';
import { type Candidate, chosenOf } from './choose.ts';
import { hoursInWords, momentInWords, openUntil } from './hours.ts';
import { isSystem, type Limits, limitsOf } from './limits.ts';
import { onlyForbidden, pathInWords } from './paths.ts';

/** What of a policy goes beyond which guardrail. */
export interface Violation {
  /** The guardrail's name, as in the configuration; `system` for the namespaces of the system. */
  readonly guardrail: string;
  /** The field, such as `spec.rules[0].fault.percentage`. */
  readonly field: string;
  readonly value: string | number;
  readonly limit: string | number;
  /** The value and the limit as the end of a sentence that begins with the field. */
  readonly message: string;
}

/** What is known when a policy is judged. */
export interface Context {
  /** When it is applied, in milliseconds since the epoch. */
  readonly appliedAt: number;
  /** The control plane's own namespace, where it has one. */
  readonly ownNamespace: string | undefined;
  /** The connected proxies that its selector names; undefined when they are not to be counted. */
  readonly proxies?: readonly Candidate[] | undefined;
}

const NO_END = 'no end';

/**
 * Everything in which a policy goes beyond the guardrails; empty when it may be applied. A policy in mode `shadow` touches nothing, so only where it
 * looks is asked.
 */
export function violations(policy: Policy, guardrails: Guardrails, context: Context): Violation[] {
  const { spec } = policy;
  const { selector, mode, rules } = spec;
  const namespace = selector.namespace === '*' ? undefined : selector.namespace;
  const found = wrongNamespace(namespace, guardrails, context);
  if (mode === 'shadow') return found;
  const limits = limitsOf(guardrails, namespace);
  if (!anyOfRules(limits)) return [...found, ...tooMany(limits, context)];
  return [
    ...found,
    ...tooMany(limits, context),
    ...rules.flatMap((rule, i) => [
      ...tooMuch(rule, `spec.rules[${i}]`, limits),
      ...tooLong(rule, `spec.rules[${i}]`, spec.lease === undefined ? limits : { ...limits, requireEnd: false }, context.appliedAt),
      ...outOfHours(rule, `spec.rules[${i}]`, limits, context.appliedAt),
      ...forbidden(rule, `spec.rules[${i}]`, limits),
    ]),
  ];
}

/** Whether any guardrail looks at rules, of which a policy may have thousands. */
function anyOfRules({ hours, maxPercentage, maxDuration, requireEnd, forbiddenPaths }: Limits): boolean {
  return requireEnd === true || [hours, maxPercentage, maxDuration, forbiddenPaths].some((limit) => limit !== undefined);
}

function wrongNamespace(namespace: string | undefined, { namespaces }: Guardrails, { ownNamespace }: Context): Violation[] {
  const field = 'spec.selector.namespace';
  const value = namespace ?? 'any namespace';
  if (namespaces !== undefined) {
    if (namespace !== undefined && Object.hasOwn(namespaces, namespace)) return [];
    const limit = Object.keys(namespaces).sort().join(', ') || 'none';
    return [
      {
        guardrail: 'namespaces',
        field,
        value,
        limit,
        message: `${namespace === undefined ? 'means' : 'is'} ${value}; the guardrail namespaces allows ${limit}`,
      },
    ];
  }
  if (namespace === undefined || !isSystem(namespace, ownNamespace)) return [];
  const message = `is ${value}, a namespace of the system, which is never faulted unless the guardrail namespaces names it`;
  return [{ guardrail: 'system', field, value, limit: 'never', message }];
}

function tooMany(limits: Limits, { proxies }: Context): Violation[] {
  const { maxProxies } = limits;
  if (maxProxies === undefined || proxies === undefined) return [];
  const value = (chosenOf(proxies, limits) ?? proxies).length;
  if (value <= maxProxies) return [];
  const message = `selects ${value} connected proxies; the guardrail maxProxies allows ${maxProxies}`;
  return [{ guardrail: 'maxProxies', field: 'spec.selector', value, limit: maxProxies, message }];
}

function tooMuch({ fault }: Rule, path: string, { maxPercentage: limit }: Limits): Violation[] {
  if (limit === undefined) return [];
  const { percentage } = fault;
  const shares =
    typeof percentage === 'number'
      ? [['percentage', percentage] as const]
      : [['percentage.ramp.from', percentage.ramp.from] as const, ['percentage.ramp.to', percentage.ramp.to] as const];
  return shares
    .filter(([, value]) => value > limit)
    .map(([name, value]) => ({
      guardrail: 'maxPercentage',
      field: `${path}.fault.${name}`,
      value,
      limit,
      message: `is ${value}; the guardrail maxPercentage allows ${limit}`,
    }));
}

function tooLong(rule: Rule, path: string, { maxDuration, requireEnd }: Limits, appliedAt: number): Violation[] {
  const end = ruleEnd(rule, appliedAt);
  const field = endField(rule, path, appliedAt);
  if (maxDuration !== undefined) {
    const seconds = (end - beginOf(rule, appliedAt)) / 1000;
    const value = end === 0 ? NO_END : seconds;
    if (typeof value === 'number' && value * 1000 <= (parseDuration(maxDuration) ?? 0)) return [];
    const is = typeof value === 'number' ? `leaves the rule in force for ${value} s` : 'gives the rule no end';
    return [
      { guardrail: 'maxDuration', field, value, limit: maxDuration, message: `${is}; the guardrail maxDuration allows ${maxDuration}` },
    ];
  }
  if (requireEnd !== true || end !== 0) return [];
  return [
    {
      guardrail: 'requireEnd',
      field,
      value: NO_END,
      limit: 'an end',
      message: 'gives the rule no end; the guardrail requireEnd wants one, or a spec.lease',
    },
  ];
}

function outOfHours(rule: Rule, path: string, { hours }: Limits, appliedAt: number): Violation[] {
  if (hours === undefined) return [];
  const begin = beginOf(rule, appliedAt);
  const end = ruleEnd(rule, appliedAt);
  const until = openUntil(hours, begin);
  const zone = hours[0]?.zone ?? 'UTC';
  const limit = hoursInWords(hours);
  const told = (field: string, at: number, says: string): Violation[] => {
    const value = at === 0 ? NO_END : momentInWords(at, zone);
    return [{ guardrail: 'hours', field, value, limit, message: `${says} ${value}; the guardrail hours allows ${limit}` }];
  };
  if (until === begin) {
    const started = rule.match?.window?.start !== undefined && begin > appliedAt;
    return told(started ? `${path}.match.window.start` : path, begin, 'would begin at');
  }
  if (until === Number.POSITIVE_INFINITY || (end !== 0 && end <= until)) return [];
  return told(endField(rule, path, appliedAt), end, end === 0 ? 'gives the rule' : 'lets the rule end at');
}

function forbidden(rule: Rule, path: string, { forbiddenPaths: limit }: Limits): Violation[] {
  const asked = rule.match?.path;
  const found = limit === undefined ? undefined : onlyForbidden(asked, limit);
  if (found === undefined) return [];
  const which = asked?.exact === undefined ? 'prefix' : 'exact';
  const value = asked?.[which] ?? '';
  const words = pathInWords(found);
  const message = `asks for nothing but ${value}; the guardrail forbiddenPaths allows nothing of ${words}`;
  return [{ guardrail: 'forbiddenPaths', field: `${path}.match.path.${which}`, value, limit: words, message }];
}

/** When a rule can first do anything, in milliseconds since the epoch. */
function beginOf({ match }: Rule, appliedAt: number): number {
  return Math.max(appliedAt, match?.window?.start === undefined ? 0 : Date.parse(match.window.start));
}

/** The field that says when a rule ends, or that should. */
function endField(rule: Rule, path: string, appliedAt: number): string {
  const byWindow = rule.match?.window?.end !== undefined && ruleEnd(rule, appliedAt) === Date.parse(rule.match.window.end);
  return byWindow ? `${path}.match.window.end` : `${path}.fault.duration_seconds`;
}
