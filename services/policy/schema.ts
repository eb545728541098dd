import { z } from '@hono/zod-openapi';
import { atMostEntries } from './entries.ts';
import { fault } from './fault.ts';
import { labelName } from './label.ts';
import { LIMITS } from './limits.ts';
import { match } from './match.ts';

/**
 * The policy model. This is its only description: the API's validation, `/openapi.json`, the JSON Schema, the TypeScript
 * types and `docs/reference/policy.md` are all made from it.
 *
 * `.describe()` texts are the reference that users read; keep each a full sentence.
 */

/** A name as Kubernetes takes it for a namespace. */
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?|\*)?$/;

export const rule = z
  .strictObject({
    match: match.optional().describe('Which requests. Missing means every request. All the parts given must match.'),
    fault: fault.describe('What is done to them.'),
  })
  .openapi('Rule');

const selectorName = z.string().min(1).max(253);

export const selector = z
  .strictObject({
    namespace: selectorName.optional().describe('The Kubernetes namespace of the workload.'),
    service: selectorName
      .optional()
      .describe(
        "Istio's canonical service name: the pod's label `service.istio.io/canonical-name`, else `app.kubernetes.io/name`, else `app`, else the workload's name.",
      ),
    workload: selectorName.optional().describe("The workload's own name, such as the Deployment's."),
    labels: atMostEntries(LIMITS.entries, z.record(labelName, z.string().regex(LABEL_VALUE, 'is no label value')))
      .optional()
      .describe('Labels that the pod must carry, all of them; the value `*` means that the label is there.'),
  })
  .openapi('Selector');

export const policySpec = z
  .strictObject({
    selector: selector.prefault({}).describe('Which workloads. A part that is missing or `"*"` means any.'),
    direction: z
      .enum(['inbound', 'outbound'])
      .default('inbound')
      .describe(
        "`inbound` faults requests that arrive at the selected workload, so that its callers' own retries and timeouts run; `outbound` faults requests that it sends.",
      ),
    mode: z
      .enum(['enforce', 'shadow'])
      .default('enforce')
      .describe('`shadow` only counts what the policy would have done, and marks it in the access log; it touches nothing.'),
    priority: z.int().min(-1_000_000).max(1_000_000).default(0).describe('Higher is asked first; equal ones go by name.'),
    rules: z
      .array(rule)
      .min(1)
      .max(LIMITS.rules)
      .describe(
        'Asked in order. Of all rules of all policies for a proxy the first that matches decides, also when its dice are lost: then there is no fault.',
      ),
  })
  .openapi('PolicySpec');

/** What the API shows of a policy beside what was written. */
const shown = (what: string) =>
  z.unknown().optional().describe(`${what} Read and ignored, so that what \`hfi policy get\` prints can be applied.`);

export const policy = z
  .strictObject({
    apiVersion: z.literal('hfi/v1').optional().describe('Always `hfi/v1`; may be left out.'),
    kind: z.literal('FaultPolicy').optional().describe('Always `FaultPolicy`; may be left out.'),
    metadata: z
      .strictObject({
        name: z
          .string()
          .regex(
            DNS_LABEL,
            'must be a DNS label: at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit',
          )
          .describe("The policy's name, unique; a DNS label."),
        resourceVersion: shown('Its version.'),
        createdAt: shown('When it was created.'),
        appliedAt: shown('When it was applied.'),
      })
      .describe('Who the policy is.'),
    spec: policySpec.describe('What the policy does.'),
    status: shown('How it is.'),
  })
  .transform(({ metadata: { name }, spec }) => ({ metadata: { name }, spec }))
  .openapi('Policy');

/** A policy as it is kept: parsed, with every default filled in. */
export type Policy = z.output<typeof policy>;
/** A policy as people write it. */
export type PolicyInput = z.input<typeof policy>;
export type Rule = Policy['spec']['rules'][number];
export type Match = NonNullable<Rule['match']>;
export type { Fault } from './fault.ts';
export type Selector = Policy['spec']['selector'];
export type Direction = Policy['spec']['direction'];
