import { ruleEnd } from '../../policy/end.ts';
import { isOver } from '../../policy/lifecycle.ts';
import type { Direction } from '../../policy/schema.ts';
import { canonicalService, type Identity, selects } from '../../policy/selector.ts';
import { isFor } from '../fleet/choices.ts';
import { Compiler, type CompilerGuard, type Ruleset } from '../fleet/group.ts';
import { byDecision } from '../ruleset/compile.ts';
import { pause, type Runtime } from '../runtime.ts';
import type { StoredPolicy } from '../store/store.ts';
import type { ExplainedPolicy, ExplainedRule, Explanation, Unmet } from './answer.ts';
import { chainOf, turnsOf, verdictOf } from './decision.ts';
import { type Effect, effectOf } from './effect.ts';
import type { FilterModule } from './filter-module.ts';
import { tried } from './laboratory.ts';
import { answered, type Subject } from './questions.ts';
import type { Asked } from './request.ts';
import { beyondPolicies, unmetOf } from './selection.ts';
import { type Standing, standingOf } from './standing.ts';
import { unmetMatches } from './unmet.ts';
import { contradiction } from './verify.ts';

/** How long one explanation may take in all, in milliseconds. */
const LONGEST_MS = 5000;
/** Rules, and policies, that an answer lists, at most; those that are for the request, and those that came with the question, always are. */
const MOST_LISTED = 1000;
/** Rules of a ruleset that is compiled as a whole for a question, at most: that can't be done in pieces, and others wait meanwhile. */
const MOST_COMPILED = 300;

/** What is asked about. */
export interface Scene {
  readonly policies: readonly Candidate[];
  /** The rules of a policy that are over before their ends. */
  readonly over: (stored: StoredPolicy) => ReadonlySet<number>;
  /** What the guardrails leave of a policy; undefined for nothing. */
  readonly guard: CompilerGuard;
  /** The halt that is over the proxy, in words. */
  readonly halted: string | undefined;
  readonly proxy: Identity & {
    readonly name: string | null;
    readonly running: string | null;
    /** What its replica wants it to run. */
    readonly wanted: string | null;
  };
  readonly direction: Direction;
  readonly asked: Asked;
  /** The control plane's clock, in milliseconds since the epoch. */
  readonly now: number;
}

export interface Candidate {
  readonly stored: StoredPolicy;
  /** It came with the question. */
  readonly given: boolean;
}

/**
 * Tells what the filter would do with a request, and why: the module itself is asked, with the proxy's ruleset, and with rules that
 * ask for one thing each.
 *
 * @throws TooManyRules
 */
export async function explain(runtime: Runtime, filter: FilterModule, scene: Scene): Promise<Explanation> {
  const { asked, direction, now, proxy, over } = scene;
  const until = runtime.clock.elapsed() + LONGEST_MS;
  const subject: Subject = { module: filter.module, asked, direction, now };
  const blocked = await blockedBy(runtime, subject, scene, until);
  const policies = scene.policies.toSorted((a, b) => byDecision(a.stored.policy, b.stored.policy));
  const ruleset = rulesetOf(scene);
  const states = new Map(policies.map(({ stored }) => [stored, stateOf(stored, ruleset, scene)]));
  const forbidden = blocked !== null && scene.halted === undefined;
  const inForce = policies.flatMap(({ stored }) => (states.get(stored) === 'asked' && !forbidden ? [stored] : []));

  const rules = await standingOf(runtime, subject, inForce, over, until);
  const chain = chainOf(rules);
  const effects = new Map(chain.map((one) => [one, effectOf(subject, one)]));
  await pause(runtime, 0);
  const wrong = ruleset && contradiction(tried(filter.module, ruleset.bytes, asked, direction, now), chain, effects);
  if (wrong !== undefined) throw new Error(`the filter does otherwise than explained: ${wrong}`);

  const listed = listedOf(rules);
  const failed = listed.filter(({ matches, time }) => !matches && (time === 'open' || time === 'not-yet'));
  const unmet = await unmetMatches(runtime, subject, failed, until);
  const answers = Map.groupBy(listed, ({ stored }) => stored);
  const all = policies.map(({ stored, given }): ExplainedPolicy => {
    const { spec, metadata } = stored.policy;
    return {
      name: metadata.name,
      given,
      priority: spec.priority,
      direction: spec.direction,
      mode: spec.mode,
      state: states.get(stored) ?? 'asked',
      unmet: unmetOf(spec.selector, proxy),
      rules: (answers.get(stored) ?? []).map((one) => ruleAnswer(one, chain, effects, unmet)),
    };
  });
  const shown = shownOf(all);
  return {
    at: iso(now),
    verdict: blocked === null ? verdictOf(chain, effects) : NOTHING,
    blocked,
    proxy: {
      name: proxy.name,
      namespace: proxy.namespace,
      workload: proxy.workload,
      service: canonicalService(proxy),
      labels: { ...proxy.labels },
      direction,
      reason: beyondPolicies(proxy),
    },
    filter: { sha256: filter.sha256 },
    ruleset: { version: (isAsIs(scene) ? proxy.wanted : null) ?? ruleset?.version ?? null, running: proxy.running },
    policies: shown,
    omitted: { policies: all.length - shown.length, rules: rules.length - listed.length },
  };
}

/** Whether it is about the policies in force, so that its replica knows the version, with the halt and the budget that belong to it. */
function isAsIs({ policies }: Scene): boolean {
  return policies.every(({ given }) => !given);
}

/** What the proxy would run, compiled as for the fleet; undefined when that takes too long for a question. */
function rulesetOf(scene: Scene): Ruleset | undefined {
  const { policies, proxy, over, guard, now } = scene;
  const readable = proxy.namespace === '' ? [] : policies.map(({ stored }) => stored);
  const selected = readable.filter((stored) => selects(stored.policy.spec.selector, proxy) && !isOver(stored, now));
  if (selected.reduce((sum, { policy }) => sum + policy.spec.rules.length, 0) > MOST_COMPILED) return undefined;
  return new Compiler(
    () => {},
    () => {},
    over,
    guard,
  ).compile(selected, proxy, now, choiceOf(scene));
}

function stateOf(stored: StoredPolicy, ruleset: Ruleset | undefined, scene: Scene): ExplainedPolicy['state'] {
  const { proxy, direction, now, over, guard } = scene;
  const { spec, metadata } = stored.policy;
  if (proxy.namespace === '' || !selects(spec.selector, proxy)) return 'not-selected';
  if (!isFor(stored, choiceOf(scene)) || guard(stored, proxy) === undefined) return 'guarded';
  if (spec.direction !== direction) return 'other-direction';
  const spent = over(stored);
  const allOver = isOver(stored, now) || spec.rules.every((rule, i) => spent.has(i) || isPast(ruleEnd(rule, stored.appliedAt), now));
  return allOver || ruleset === undefined || ruleset.policies.includes(metadata.name) ? 'asked' : 'no-room';
}

/** The policies that chose the proxy among all that they select. One that is only described is chosen by none. */
function choiceOf({ policies, proxy }: Scene): string {
  const chose = policies.filter(({ stored }) => proxy.name !== null && stored.chosen?.includes(proxy.name) === true);
  return chose.map(({ stored }) => stored.policy.metadata.name).join(' ');
}

const NOTHING: Explanation['verdict'] = { outcome: 'none', fault: false, rule: null, percent: 0 };

/** Why nothing is injected into this request, whatever the policies say. */
async function blockedBy(
  runtime: Runtime,
  subject: Subject,
  { halted, guard, proxy, policies }: Scene,
  until: number,
): Promise<string | null> {
  if (halted !== undefined) return halted;
  const never = policies.flatMap(({ stored }) => guard(stored, proxy)?.never ?? []);
  if (never.length === 0) return null;
  const [open] = await answered(runtime, { ...subject, never }, [{ match: {}, sparesProbes: false }], until);
  return open === false ? 'the guardrail forbiddenPaths keeps every fault away from this path' : null;
}

function isPast(end: number, now: number): boolean {
  return end !== 0 && end <= now;
}

/** The rules that are for the request, and of the others the first. */
function listedOf(rules: readonly Standing[]): Standing[] {
  let left = MOST_LISTED;
  return rules.filter(({ matches }) => matches || left-- > 0);
}

function shownOf(policies: readonly ExplainedPolicy[]): ExplainedPolicy[] {
  let left = MOST_LISTED;
  return policies.filter(({ given, rules }) => given || rules.length > 0 || left-- > 0);
}

function ruleAnswer(
  one: Standing,
  chain: readonly Standing[],
  effects: ReadonlyMap<Standing, Effect>,
  unmet: ReadonlyMap<Standing, readonly Unmet[]>,
): ExplainedRule {
  const { rule, stored, matches, time } = one;
  const end = ruleEnd(rule, stored.appliedAt);
  const start = rule.match?.window?.start;
  const state = ruleState(one, chain);
  const effect = effects.get(one);
  return {
    name: one.name,
    state,
    behind: state === 'behind' ? (chain.at(-1)?.name ?? null) : null,
    unmet: [...(unmet.get(one) ?? [])],
    unmetKnown: matches || time === 'ended' || time === 'spent' || unmet.has(one),
    effect: effect?.kind ?? null,
    percent: effect?.percent ?? null,
    sticky: effect?.sticky ?? null,
    turns: turnsOf(rule.match),
    startsAt: start === undefined ? null : iso(Date.parse(start)),
    endsAt: end === 0 ? null : iso(end),
    rule: matches ? rule : null,
  };
}

function ruleState(one: Standing, chain: readonly Standing[]): ExplainedRule['state'] {
  if (one.time !== 'open') return one.time;
  if (!one.matches) return 'no-match';
  if (!chain.includes(one)) return 'behind';
  return chain.length === 1 && turnsOf(one.rule.match) === null ? 'decides' : 'may-decide';
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
