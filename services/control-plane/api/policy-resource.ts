import { z } from '@hono/zod-openapi';
import { policyEnd, ruleEnd } from '../../policy/end.ts';
import { END_REASONS, type EndReason, isOver, leaseUntil, PHASES, type Phase, phaseAt } from '../../policy/lifecycle.ts';
import { policySpec, type Selector } from '../../policy/schema.ts';
import type { Guard } from '../guardrails/guard.ts';
import type { PastRun, StoredPolicy } from '../store/store.ts';
import { tally } from './policy-counts.ts';
import { refusals } from './problem.ts';

/** How a change of a policy that is there already, one without a body, may be refused. */
export const changeRefusals = refusals(
  'invalid',
  'unauthenticated',
  'forbidden',
  'not-found',
  'conflict',
  'precondition-failed',
  'too-many-requests',
  'store-unavailable',
);

const state = z.enum(['active', 'ended']);
const moment = z.iso.datetime();

export const policyResource = z
  .object({
    metadata: z.object({
      name: z.string(),
      resourceVersion: z.string().describe("etcd's revision of the last change; also the ETag."),
      createdAt: moment,
      appliedAt: moment.describe("When the rules' time began."),
    }),
    spec: policySpec,
    status: z.object({
      state: state.describe('`ended` once its end has come.'),
      phase: z.enum(Object.keys(PHASES) as [Phase, ...Phase[]]).describe('Where in its life it is; see the lifecycle of a policy.'),
      endsAt: moment.nullable().describe('When the last rule ends; null when one never does.'),
      lease: z
        .object({ until: moment.describe('When it ends everywhere unless it is renewed.') })
        .nullable()
        .describe("The owner's lease; null without one."),
      end: z
        .object({
          at: moment,
          reason: z.enum(Object.keys(END_REASONS) as [EndReason, ...EndReason[]]),
          why: z.string(),
          by: z.object({ name: z.string(), role: z.string() }),
        })
        .nullable()
        .describe('How it ended; null until that is written.'),
      result: z
        .object({
          verdict: z.enum(['effective', 'inconclusive']).describe('`inconclusive` when it hit nothing: it proves nothing.'),
          total: tally,
        })
        .nullable()
        .describe(
          'What it did in all, of a run in the history; null until its last counts are there, some seconds after the end, and when nobody knows them any more.',
        ),
      rules: z.array(z.object({ name: z.string(), endsAt: moment.nullable(), state })),
      chosen: z
        .array(z.string())
        .nullable()
        .describe('The only proxies that it is for, chosen by guardrails when it was applied; null = all that it selects.'),
      heldBack: z
        .array(z.string())
        .describe('In what it is beyond guardrails that are narrower than when it was applied. Unless empty, no proxy gets it.'),
    }),
  })
  .openapi('PolicyResource');

/** Nobody reads more. */
const MOST_TOLD = 20;

export type PolicyResource = z.output<typeof policyResource>;

/** Who knows which proxies run what. */
export interface Behind {
  /** How many connected proxies that a selector names don't run yet what they should. */
  behind(selector: Selector): number;
}

/** Of whom it is asked how a policy stands. */
export interface Judges {
  /** The proxies that this replica knows. */
  readonly fleet: Behind;
  readonly guard: Pick<Guard, 'violations'>;
}

/**
 * A stored policy as the API shows it.
 *
 * @param now milliseconds since the epoch; what ended by then is `ended`
 */
export function asResource(stored: StoredPolicy, now: number, { fleet, guard }: Judges): PolicyResource {
  const { policy, createdAt, appliedAt, revision, chosen, ended } = stored;
  const { name } = policy.metadata;
  const over = isOver(stored, now);
  const stateAt = (end: number): 'active' | 'ended' => (over || (end !== 0 && end <= now) ? 'ended' : 'active');
  const until = leaseUntil(stored);
  // What is over is held back by nothing.
  const beyond = over ? [] : guard.violations(policy, appliedAt).slice(0, MOST_TOLD);
  return {
    metadata: { name, resourceVersion: String(revision), createdAt: iso(createdAt), appliedAt: iso(appliedAt) },
    spec: policy.spec,
    status: {
      state: over ? 'ended' : 'active',
      phase: phaseAt(stored, now, () => fleet.behind(policy.spec.selector)),
      endsAt: isoOrNull(policyEnd(policy, appliedAt)),
      lease: until === undefined ? null : { until: iso(until) },
      end: ended === undefined ? null : { ...ended, at: iso(ended.at) },
      result: null,
      rules: policy.spec.rules.map((rule, i) => {
        const ruleEnds = ruleEnd(rule, appliedAt);
        return { name: `${name}/${i}`, endsAt: isoOrNull(ruleEnds), state: stateAt(ruleEnds) };
      }),
      chosen: chosen === undefined ? null : [...chosen],
      heldBack: beyond.map(({ field, message }) => `${field} ${message}`),
    },
  };
}

/** A run of the history as the API shows it. */
export function pastResource(run: PastRun, now: number, judges: Judges): PolicyResource {
  const resource = asResource(run, now, judges);
  return { ...resource, status: { ...resource.status, lease: null, result: run.result } };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function isoOrNull(time: number): string | null {
  return time === 0 ? null : iso(time);
}
