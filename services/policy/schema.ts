import { z } from '@hono/zod-openapi';
import { atLeastOne, exactlyOne } from './choice.ts';
import { DURATION_PATTERN, parseDuration } from './duration.ts';
import { atMostEntries } from './entries.ts';
import { LIMITS } from './limits.ts';
import { cookieName, headerName, match } from './match.ts';

/**
 * The policy model. This is its only description: the API's validation, `/openapi.json`, the JSON Schema, the TypeScript
 * types and `docs/reference/policy.md` are all made from it.
 *
 * `.describe()` texts are the reference that users read; keep each a full sentence.
 */

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\uffff]*$/;
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?|\*)?$/;

/** Headers that an abort may not set: Envoy or HFI writes them. */
const RESERVED_HEADERS = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'x-hfi-fault',
  'grpc-status',
  'grpc-message',
]);

/** Statuses that no body follows (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5). */
const BODYLESS = new Set([204, 205, 304]);

const utf8Length = (text: string): number => Buffer.byteLength(text, 'utf8');

const durationText = z
  .string()
  .regex(new RegExp(DURATION_PATTERN), 'is no duration: write a number and one unit, like `350ms`, `2s`, `1.5m` or `1h`')
  .refine((text) => {
    const ms = parseDuration(text);
    return ms === undefined || (ms >= 1 && ms <= LIMITS.delayMs);
  }, 'must be between 1ms and 1h');

export const delay = exactlyOne(
  ['fixed_delay', 'fixed_delay_ms'],
  'Delay',
  z.strictObject({
    fixed_delay: durationText.optional().describe('How long to hold the request: `2s`, `350ms`, `1.5m`, at most `1h`.'),
    fixed_delay_ms: z.int().min(1).max(LIMITS.delayMs).optional().describe('The same, as a whole number of milliseconds.'),
  }),
);

export const abort = exactlyOne(
  ['httpStatus', 'grpcStatus'],
  'Abort',
  z
    .strictObject({
      httpStatus: z
        .int()
        .min(200)
        .max(599)
        .optional()
        .describe('The HTTP status to answer with. A gRPC call gets the gRPC status that Envoy maps it to (503 becomes 14, UNAVAILABLE).'),
      grpcStatus: z
        .int()
        .min(1)
        .max(16)
        .optional()
        .describe(
          'The gRPC status code to answer with. A request that is not gRPC gets the HTTP status that the code stands for (14, UNAVAILABLE, becomes 503).',
        ),
      grpcMessage: z
        .string()
        .max(1024)
        .regex(HEADER_VALUE, 'has a control character')
        .optional()
        .describe('The gRPC status message; only together with `grpcStatus`.'),
      body: z
        .string()
        .refine((text) => utf8Length(text) <= LIMITS.bodyBytes, `is longer than ${LIMITS.bodyBytes} bytes`)
        .optional()
        .describe('The response body, at most 64 KiB; only together with `httpStatus`.'),
      headers: atMostEntries(
        LIMITS.entries,
        z.record(
          z
            .string()
            .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'is no header name')
            .max(256),
          z.string().max(8192).regex(HEADER_VALUE, 'has a control character'),
        ),
      )
        .optional()
        .describe('Headers to add to the response. `content-type` is `text/plain` unless set here.'),
    })
    .superRefine((value, context) => {
      if (value.grpcMessage !== undefined && value.grpcStatus === undefined) {
        context.addIssue({ code: 'custom', path: ['grpcMessage'], message: 'goes with grpcStatus; for httpStatus use body' });
      }
      if (value.body !== undefined && value.grpcStatus !== undefined) {
        context.addIssue({ code: 'custom', path: ['body'], message: 'goes with httpStatus; for grpcStatus use grpcMessage' });
      }
      if (value.body !== undefined && BODYLESS.has(value.httpStatus ?? 0)) {
        context.addIssue({ code: 'custom', path: ['body'], message: `can not go with ${value.httpStatus}, which has no body` });
      }
      for (const name of Object.keys(value.headers ?? {})) {
        if (RESERVED_HEADERS.has(name.toLowerCase())) {
          context.addIssue({ code: 'custom', path: ['headers', name], message: 'is written by Envoy or HFI and can not be set' });
        }
      }
    }),
);

export const sticky = exactlyOne(
  ['header', 'cookie'],
  'Sticky',
  z.strictObject({
    header: headerName
      .optional()
      .describe('The header whose value decides, such as `x-user`. Sent several times, its values are joined with `,`.'),
    cookie: cookieName.optional().describe('The cookie whose value decides.'),
    seed: z.int().min(0).max(0xffffffff).default(0).describe('Rules with one seed hit the same values; another seed draws anew.'),
  }),
);

/** What can be done to a request. */
const kinds = {
  delay: delay.optional().describe('Holds the request, then lets it go on. Together with `abort`: holds it, then aborts it.'),
  abort: abort.optional().describe('Answers the request instead of the service.'),
};

export const fault = atLeastOne(
  Object.keys(kinds),
  'Fault',
  z.strictObject({
    percentage: z
      .number()
      .min(0)
      .max(100)
      .refine(
        (value) => Math.abs(value / LIMITS.percentageStep - Math.round(value / LIMITS.percentageStep)) < 1e-3,
        'has more than four decimals',
      )
      .default(100)
      .describe('The share of the matching requests that are hit, 0 to 100, to 0.0001. Each request draws for itself.'),
    sticky: sticky
      .optional()
      .describe(
        'Draws for a value of the request in place of the request itself: the same value is always hit or never, on every proxy and after restarts, and a higher percentage only adds values. A request without it is not hit.',
      ),
    start_delay_ms: z
      .int()
      .min(0)
      .max(LIMITS.delayMs)
      .default(0)
      .describe('Waits this many milliseconds before the fault itself begins; a delay comes on top.'),
    duration_seconds: z
      .int()
      .min(0)
      .max(LIMITS.durationSeconds)
      .default(0)
      .describe(
        'Ends the rule this many seconds after the apply, at the same moment on every proxy, whatever was restarted. 0 means no end.',
      ),
    ...kinds,
  }),
);

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
    labels: atMostEntries(
      LIMITS.entries,
      z.record(z.string().regex(LABEL_KEY, 'is no label name').max(317), z.string().regex(LABEL_VALUE, 'is no label value')),
    )
      .optional()
      .describe('Labels that the pod must carry, all of them; the value `*` means that the label is there.'),
  })
  .openapi('Selector');

export const policySpec = z
  .strictObject({
    selector: selector.default({}).describe('Which workloads. A part that is missing or `"*"` means any.'),
    direction: z
      .enum(['inbound', 'outbound'])
      .default('inbound')
      .describe(
        "`inbound` faults requests that arrive at the selected workload, so that its callers' own retries and timeouts run; `outbound` faults requests that it sends.",
      ),
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
export type Fault = Rule['fault'];
export type Selector = Policy['spec']['selector'];
export type Direction = Policy['spec']['direction'];
