import { z } from '@hono/zod-openapi';
import { rule } from '../../policy/schema.ts';

/** What an explanation says. */

const unmet = z
  .object({
    path: z.string().describe('The field, such as `spec.rules[0].match.headers[0]`.'),
    wants: z.record(z.string(), z.unknown()).describe('The match or the selector with this part alone.'),
    has: z.string().nullable().describe('What the request, or the proxy, has there; null for nothing, or when it is no single text.'),
  })
  .openapi('Unmet');

const ruleAnswer = z
  .object({
    name: z.string().describe('`<policy>/<index>`.'),
    state: z
      .enum(['decides', 'may-decide', 'behind', 'no-match', 'not-yet', 'ended', 'spent'])
      .describe(
        '`decides`: it is the first that matches. `may-decide`: it does or the next one does, for that hangs on how many requests matched before. `behind`: it matches, and another decides. `no-match`: `unmet` says why. `not-yet`, `ended`: it is not its time. `spent`: its `limit` for the fleet is reached.',
      ),
    behind: z.string().nullable().describe('The rule that decides in its place.'),
    unmet: z.array(unmet).describe('What of its match does not hold.'),
    unmetKnown: z.boolean().describe('False when it does not match and there was no time left to find out why.'),
    effect: z
      .enum(['fault', 'chance', 'none'])
      .nullable()
      .describe('What comes of a request that it decides: a fault, a fault by chance, or none; null when the request is not for it.'),
    percent: z.number().nullable().describe('The share of such requests that it hits now.'),
    sticky: z
      .object({
        by: z.object({ header: z.string().optional(), cookie: z.string().optional() }),
        value: z.string().nullable(),
        hit: z.boolean(),
      })
      .nullable()
      .describe('Where its dice stick to a value: that value, null when the request lacks it, and whether it is hit.'),
    turns: z.record(z.string(), z.unknown()).nullable().describe('What hangs on earlier requests: `after`, `every`, `sequence`, `limit`.'),
    startsAt: z.iso.datetime().nullable(),
    endsAt: z.iso.datetime().nullable(),
    rule: z.union([rule, z.null()]).describe('The rule itself; null when the request is not for it.'),
  })
  .openapi('ExplainedRule');

const policyAnswer = z
  .object({
    name: z.string(),
    given: z.boolean().describe('It is one of those that came with the question, and not in force.'),
    priority: z.int(),
    direction: z.enum(['inbound', 'outbound']),
    mode: z.enum(['enforce', 'shadow']),
    state: z
      .enum(['asked', 'not-selected', 'guarded', 'other-direction', 'no-room'])
      .describe(
        '`asked`: its rules are asked. `not-selected`: `unmet` says why. `guarded`: it selects the proxy, and the guardrails keep it away from it, or chose other proxies. `other-direction`: it is about requests that pass the other way. `no-room`: the ruleset would be larger than a filter takes.',
      ),
    unmet: z.array(unmet).describe('What of its selector does not hold.'),
    rules: z.array(ruleAnswer),
  })
  .openapi('ExplainedPolicy');

export const explanation = z
  .object({
    at: z.iso.datetime().describe('The moment for which it holds.'),
    verdict: z.object({
      outcome: z
        .enum(['fault', 'chance', 'counts', 'shadow', 'none'])
        .describe(
          '`fault`: there would be one. `chance`: for `percent` of such requests. `counts`: that hangs on how many requests matched before. `shadow`: it would only be counted. `none`: there would be none.',
        ),
      fault: z.boolean().describe('Whether there can be a fault at all.'),
      rule: z.string().nullable().describe('The rule that decides, or the first that may; null when none matches.'),
      percent: z.number().nullable().describe('The share of such requests that are hit now; null when it hangs on counts.'),
    }),
    blocked: z.string().nullable().describe('Why nothing is injected, whatever the policies say: a halt, or a guardrail.'),
    proxy: z.object({
      name: z.string().nullable(),
      namespace: z.string(),
      workload: z.string(),
      service: z.string().describe("Istio's canonical service name."),
      labels: z.record(z.string(), z.string()),
      direction: z.enum(['inbound', 'outbound']),
      reason: z.string().nullable().describe('Why no policy at all can select it, if so.'),
    }),
    filter: z.object({
      sha256: z.string().describe('Of the module that was asked; the address of the filter in the mesh carries that of the one there.'),
    }),
    ruleset: z.object({
      version: z
        .string()
        .nullable()
        .describe('The version of what the proxy would run; null when it has more than 300 rules: it is not compiled for a question then.'),
      running: z.string().nullable().describe('What the proxy says it runs; null for a proxy that was only described.'),
    }),
    policies: z.array(policyAnswer).describe('In the order of decision.'),
    omitted: z.object({ policies: z.int(), rules: z.int() }).describe('How many are left out here, none of which is for the request.'),
  })
  .openapi('Explanation');

export type Explanation = z.output<typeof explanation>;
export type ExplainedPolicy = z.output<typeof policyAnswer>;
export type ExplainedRule = z.output<typeof ruleAnswer>;
export type Unmet = z.output<typeof unmet>;
