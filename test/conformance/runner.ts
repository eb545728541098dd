import type { Policy } from '../../services/policy/schema.ts';
import { type Case, readCase } from './case.ts';
import type { Line } from './files.ts';
import type { Host, Trial } from './host.ts';
import { isFaulted, judge } from './judge.ts';
import { checkPolicies, identityOf, naming, rulesetOf } from './policies.ts';

/** How often a case is run when its only fault is lateness. */
const ATTEMPTS = 3;

export interface Failure {
  readonly name: string;
  readonly expected: unknown;
  readonly got: unknown;
}

export interface Outcome {
  readonly passed: number;
  readonly failures: readonly Failure[];
}

/** Runs every case, one after the other; one that can't be run fails. */
export async function runCases(lines: readonly Line[], host: Host, onFailure: (failure: Failure) => void = () => {}): Promise<Outcome> {
  const failures: Failure[] = [];
  for (const line of lines) {
    const failure = await runLine(line, host);
    if (failure === undefined) continue;
    failures.push(failure);
    onFailure(failure);
  }
  return { passed: lines.length - failures.length, failures };
}

async function runLine({ place, value, unreadable }: Line, host: Host): Promise<Failure | undefined> {
  if (unreadable !== undefined) return { name: place, expected: null, got: { error: `can't be run: is no JSON: ${unreadable}` } };
  const given = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<string, unknown>>;
  const name = typeof given.name === 'string' && given.name !== '' ? given.name : place;
  const expected = given.expect ?? (given.invalid === undefined ? null : { invalid: given.invalid });
  const read = readCase(value);
  if ('error' in read) return { name, expected, got: read };
  try {
    const got = await runCase(read, host);
    return got && { name, expected, got };
  } catch (error) {
    return { name, expected, got: { error: (error as Error).message } };
  }
}

/** @returns what was got instead of what the case expects, or undefined */
async function runCase(one: Case, host: Host): Promise<object | undefined> {
  const { policies, errors } = checkPolicies(one.policies);
  if (one.invalid !== undefined) {
    const named = [...new Set(errors.map(({ path }) => path))].sort();
    const plain = new Set(named.map(plainPath));
    return one.invalid.every((path) => plain.has(plainPath(path))) ? undefined : { invalid: named };
  }
  if (errors.length > 0) return { error: `a policy is refused: ${errors.map(({ path, message }) => `${path} ${message}`).join('; ')}` };
  const twice = policies.find(({ metadata }, i) => policies.findIndex((other) => other.metadata.name === metadata.name) !== i);
  if (twice !== undefined) return { error: `two policies are named ${twice.metadata.name}: one would replace the other` };

  for (let attempt = 1; ; attempt++) {
    const wrong = await attemptCase(one, policies, host);
    // In real time a busy machine makes one request late, but a filter that is late always is.
    if (!wrong?.late || host.lateMs === 0 || attempt === ATTEMPTS) return wrong?.got;
  }
}

/** A field's path without the signs around a name that isn't plain: `a["b.c"]` and `a.b.c` name the same. */
function plainPath(path: string): string {
  return path.replaceAll(/\["(.*?)"\]/g, '.$1');
}

async function attemptCase(one: Case, policies: readonly Policy[], host: Host): Promise<ReturnType<typeof judge>> {
  const expected = one.expect ?? {};
  const inOrder = expected.hit !== undefined || expected.service !== undefined;
  const seen = await host.run(trialOf(one, policies, inOrder));
  const asksRule = expected.policy !== undefined || expected.rule !== undefined;
  const untold =
    asksRule && seen.some((request) => request.rule === undefined && ((expected.rate ?? expected.hit) === undefined || isFaulted(request)));
  return judge(expected, seen, untold ? await decidingRule(one, policies, host) : undefined, host.lateMs);
}

/** The rule that decides where nothing tells it: the same requests are sent again, where every rule names itself. */
async function decidingRule(one: Case, policies: readonly Policy[], host: Host): Promise<string | undefined> {
  const named = await host.run(trialOf(one, naming(policies), false));
  return named.find(isFaulted)?.rule;
}

function trialOf({ proxy, request, upstream, repeat, afterMs }: Case, policies: readonly Policy[], inOrder: boolean): Trial {
  const identity = identityOf(proxy);
  const ruleset = (now: number): Uint8Array => rulesetOf(policies, identity, now - afterMs);
  // A connection from the workload itself shows no certificate.
  const source = proxy.direction === 'outbound' || request.source === '' ? undefined : request.source;
  const peer = proxy.direction === 'outbound' ? undefined : request.peer;
  return {
    policies,
    identity,
    afterMs,
    ruleset,
    direction: proxy.direction,
    request: { ...request, source, peer },
    upstream,
    repeat,
    inOrder,
  };
}
