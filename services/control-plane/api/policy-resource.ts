import { z } from '@hono/zod-openapi';
import { policyEnd, ruleEnd } from '../../policy/end.ts';
import { policySpec } from '../../policy/schema.ts';
import type { Guard } from '../guardrails/guard.ts';
import type { StoredPolicy } from '../store/store.ts';

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
      state,
      endsAt: moment.nullable().describe('When the last rule ends; null when one never does.'),
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

/**
 * A stored policy as the API shows it.
 *
 * @param now milliseconds since the epoch; what ended by then is `ended`
 */
export function asResource({ policy, createdAt, appliedAt, revision, chosen }: StoredPolicy, now: number, guard: Guard): PolicyResource {
  const stateAt = (end: number): 'active' | 'ended' => (end !== 0 && end <= now ? 'ended' : 'active');
  const { name } = policy.metadata;
  const end = policyEnd(policy, appliedAt);
  const beyond = guard.violations(policy, appliedAt).slice(0, MOST_TOLD);
  return {
    metadata: { name, resourceVersion: String(revision), createdAt: iso(createdAt), appliedAt: iso(appliedAt) },
    spec: policy.spec,
    status: {
      state: stateAt(end),
      endsAt: isoOrNull(end),
      rules: policy.spec.rules.map((rule, i) => {
        const ruleEnds = ruleEnd(rule, appliedAt);
        return { name: `${name}/${i}`, endsAt: isoOrNull(ruleEnds), state: stateAt(ruleEnds) };
      }),
      chosen: chosen === undefined ? null : [...chosen],
      heldBack: beyond.map(({ field, message }) => `${field} ${message}`),
    },
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function isoOrNull(time: number): string | null {
  return time === 0 ? null : iso(time);
}
