import type { InferResponseType } from 'hono/client';
import type { Client } from './client.ts';
import { timeLeft } from './print.ts';
import { faultInWords, matchInWords } from './words.ts';

/** An explanation in words: the verdict on the first line, then each rule that was asked, in the order of decision. */

export type Explanation = InferResponseType<Client['v1']['explain']['$post'], 200>;
type Policy = Explanation['policies'][number];
type Rule = Policy['rules'][number];
type Unmet = Rule['unmet'][number];
type Fault = NonNullable<Rule['rule']>['fault'];

/** @param request as it was asked about, such as `GET /api` */
export function explanationInWords(explanation: Explanation, request: string): string[] {
  const { blocked, proxy, policies, omitted } = explanation;
  const apart = policies.filter(({ state }) => state !== 'asked');
  const left = [
    ...(omitted.rules === 0 ? [] : [`${omitted.rules} more rules that are not for the request`]),
    ...(omitted.policies === 0 ? [] : [`${omitted.policies} more policies that do not select the proxy`]),
  ];
  return [
    verdictInWords(explanation),
    `${request}, ${proxy.direction} at ${proxyInWords(proxy)}`,
    ...(blocked === null ? [] : [`Nothing is injected: ${blocked}`]),
    ...(proxy.reason === null ? [] : [`No policy selects this proxy: ${proxy.reason}`]),
    ...policies.filter(({ state }) => state === 'asked').flatMap((policy) => ['', headOf(policy), ...policy.rules.flatMap(ruleInWords)]),
    ...(apart.length === 0 || proxy.reason !== null ? [] : ['', 'Not asked:', ...apart.flatMap(apartInWords)]),
    ...(left.length === 0 ? [] : ['', `and ${left.join(', ')}`]),
  ];
}

/** `FAULT by slow/0: delay 2s`. */
export function verdictInWords({ blocked, verdict, policies }: Explanation): string {
  const { outcome, fault, rule: name, percent } = verdict;
  if (blocked !== null) return 'NO FAULT, whatever the policies say';
  if (name === null) return 'NO FAULT: no rule is for this request';
  const rule = policies.flatMap(({ rules }) => rules).find((one) => one.name === name);
  const what = rule?.rule == null ? '' : `: ${faultInWords(withoutShare(rule.rule.fault))}`;
  switch (outcome) {
    case 'fault':
      return `FAULT by ${name}${what}`;
    case 'chance':
      return `FAULT by ${name} for ${percent} % of such requests${what}`;
    case 'counts':
      return fault
        ? `PERHAPS A FAULT by ${name}, depending on how many requests matched before${what}`
        : `NO FAULT, whichever rule decides`;
    case 'shadow':
      return `NO FAULT: ${name} is in shadow and would only count${what}`;
    case 'none':
      return `NO FAULT: ${name} decides, and ${missInWords(rule?.sticky ?? null)}`;
  }
}

function missInWords(sticky: Rule['sticky']): string {
  if (sticky === null) return 'its percentage is 0';
  return sticky.value === null
    ? `does not hit a request without ${stickyInWords(sticky.by)}`
    : `does not hit ${stickyInWords(sticky.by)} ${sticky.value}`;
}

function stickyInWords({ header, cookie }: NonNullable<Rule['sticky']>['by']): string {
  return header === undefined ? `cookie ${cookie}` : `header ${header}`;
}

/** The share is told with the verdict. */
function withoutShare(fault: Fault): Fault {
  return { ...fault, percentage: 100 };
}

function proxyInWords({ name, namespace, service, workload }: Explanation['proxy']): string {
  const where = `service ${service}${namespace === '' ? '' : ` in namespace ${namespace}`}`;
  return name === null ? `${where}${workload === '' ? '' : `, workload ${workload}`}` : `${where} (${name})`;
}

function headOf({ name, given, priority, mode }: Policy): string {
  const notes = [
    ...(priority === 0 ? [] : [`priority ${priority}`]),
    ...(mode === 'shadow' ? ['in shadow: it only counts'] : []),
    ...(given ? ['as if applied now'] : []),
  ];
  return `${name}${notes.length === 0 ? '' : `  (${notes.join(', ')})`}`;
}

const STATES: Readonly<Record<Rule['state'], string>> = {
  decides: 'DECIDES',
  'may-decide': 'MAY DECIDE',
  behind: 'behind',
  'no-match': 'no match',
  'not-yet': 'not yet',
  ended: 'ended',
  spent: 'spent',
};
const WIDTH = Math.max(...Object.values(STATES).map((text) => text.length));

function ruleInWords(rule: Rule): string[] {
  const [first = '', ...rest] = reasonsOf(rule);
  const index = rule.name.slice(rule.name.indexOf('/') + 1);
  const margin = `  ${index}  ${STATES[rule.state].padEnd(WIDTH)}  `;
  return [`${margin}${first}`, ...rest.map((line) => `${' '.repeat(margin.length)}${line}`)];
}

function reasonsOf(rule: Rule): string[] {
  const { state, behind, startsAt, endsAt, unmet, unmetKnown } = rule;
  const does = rule.rule === null ? '' : faultInWords(rule.rule.fault);
  const whom = rule.rule === null ? '' : matchInWords(withoutTurns(rule.rule.match));
  const why = unmet.length > 0 ? unmetInWords(unmet) : unmetKnown ? [] : ['there was no time left to find out why'];
  switch (state) {
    case 'decides':
    case 'may-decide':
      return [`${whom}: ${does}`, ...dependsOn(rule)];
    case 'behind':
      return [`${behind} decides before it; ${whom}: ${does}`];
    case 'no-match':
      return why;
    case 'not-yet':
      return [`begins ${startsAt}${does === '' ? '' : `; then ${whom}: ${does}`}`, ...why];
    case 'ended':
      return [`since ${endsAt}`];
    case 'spent':
      return ['its limit for the fleet is reached'];
  }
}

/** What the outcome hangs on, beside the request. */
function dependsOn({ sticky, turns, endsAt }: Rule): string[] {
  const value = sticky?.value === null ? 'the request lacks it' : `${sticky?.value} is ${sticky?.hit === true ? 'hit' : 'not hit'}`;
  return [
    ...(sticky === null ? [] : [`${stickyInWords(sticky.by)}: ${value}`]),
    ...(turns === null ? [] : [`depends on how many requests matched before: ${matchInWords(turns as never)}`]),
    ...(endsAt === null ? [] : [`ends in ${timeLeft(endsAt)}`]),
  ];
}

/** The turns are told apart from it. */
function withoutTurns(match: NonNullable<Rule['rule']>['match']): NonNullable<Rule['rule']>['match'] {
  const { after, every, sequence, limit, window, ...which } = match ?? {};
  return which;
}

/** Those inside an `anyOf` stand below it. */
function unmetInWords(unmet: readonly Unmet[]): string[] {
  return unmet.map(({ path, wants, has }) => {
    const depth = unmet.filter((other) => path.startsWith(`${other.path}[`)).length;
    return `${'  '.repeat(depth)}${wantsInWords(wants, has)}`;
  });
}

function wantsInWords(wants: Unmet['wants'], has: string | null): string {
  if (Array.isArray(wants.anyOf)) return `none of ${wants.anyOf.length} holds:`;
  if (wants.not !== undefined) return `is one of those it is not for: ${matchInWords(wants.not as never)}`;
  if (wants.probes === true) return `leaves health probes alone, and this is one: user-agent ${has}`;
  return `wants ${matchInWords(wants as never)}; the request has ${has === null ? 'none' : `"${has}"`}`;
}

function namedInWords({ labels, ...names }: Unmet['wants']): string {
  const [[key = '', value] = []] = Object.entries((labels ?? names) as Record<string, unknown>);
  return labels === undefined ? `${key} ${value}` : `label ${key}=${value}`;
}

function apartInWords({ name, state, direction, unmet }: Policy): string[] {
  switch (state) {
    case 'other-direction':
      return [`  ${name}: is about ${direction} requests`];
    case 'guarded':
      return [`  ${name}: the guardrails keep it away from this proxy`];
    case 'no-room':
      return [`  ${name}: the proxy's ruleset would be larger than a filter takes`];
    default:
      return unmet.map(
        ({ wants, has }) => `  ${name}: selects ${namedInWords(wants)}; the proxy has ${has === null ? 'none' : `"${has}"`}`,
      );
  }
}
