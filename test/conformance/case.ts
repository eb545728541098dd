import { z } from '@hono/zod-openapi';
import { fieldErrors } from '../../services/policy/problems.ts';

/** One case as it stands on a line of a file: policies and a request for a proxy, and what must come of it. */

/** What can become of a request. */
export const KINDS = ['none', 'abort', 'delay', 'delay+abort', 'reset', 'response', 'request'] as const;
export type Kind = (typeof KINDS)[number];

const header = z.tuple([z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'is no header name'), z.string()]);
const status = z.int().min(200).max(599);

const proxy = z.strictObject({
  namespace: z.string().default('demo'),
  /** Istio's canonical service name, unless a label says it; empty for a pod that no label gives one. */
  service: z.string().default('frontend'),
  workload: z.string().default('frontend-v1'),
  labels: z.record(z.string(), z.string()).default({}),
  direction: z.enum(['inbound', 'outbound']).default('inbound'),
});

const peer = z.strictObject({
  workload: z.string().optional(),
  service: z.string().optional(),
  version: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
});

const request = z.strictObject({
  method: z.string().min(1).default('GET'),
  path: z.string().min(1).default('/'),
  authority: z.string().default('x'),
  headers: z.array(header).default([]),
  body: z.string().default(''),
  /** The caller's identity under mutual TLS. */
  source: z.string().startsWith('spiffe://', 'must begin with spiffe://').optional(),
  /** What the caller's sidecar says of it. */
  peer: peer.optional(),
});

const upstream = z.strictObject({
  status: status.default(200),
  headers: z.array(header).default([]),
  body: z.string().default('ok'),
});

/** What the service got; only what is given is compared. */
const arrived = z.strictObject({
  method: z.string().optional(),
  path: z.string().optional(),
  headers: z.array(header).optional(),
  body: z.string().optional(),
});

const expect = z
  .strictObject({
    fault: z.enum(KINDS).optional(),
    policy: z.string().optional(),
    rule: z.int().min(0).optional(),
    status: status.optional(),
    body: z.string().optional(),
    headers: z.array(header).optional(),
    arrived: arrived.optional(),
    /** How long the request is held in all. */
    delayMs: z.int().min(0).optional(),
    /** The share of the repeats that are faulted. What else is expected is then expected of those only. */
    rate: z.number().min(0).max(1).optional(),
  })
  .refine((given) => Object.keys(given).length > 0, 'expects nothing');

const conformanceCase = z
  .strictObject({
    name: z.string().min(1),
    /** As a user writes them: what is wrong with one is what `invalid` is about. */
    policies: z.array(z.unknown()),
    proxy: proxy.prefault({}),
    request: request.prefault({}),
    upstream: upstream.prefault({}),
    repeat: z.int().min(1).max(1_000_000).default(1),
    /** How long ago the policies were applied. */
    afterMs: z.int().min(0).default(0),
    expect: expect.optional(),
    /** Fields that the refusal of the policies must name, all of them. */
    invalid: z.array(z.string()).min(1).optional(),
  })
  .superRefine((given, context) => {
    if ((given.expect === undefined) === (given.invalid === undefined)) {
      context.addIssue({ code: 'custom', message: 'needs one of expect and invalid' });
    }
    for (const field of ['source', 'peer'] as const) {
      if (given.request[field] === undefined || given.proxy.direction === 'inbound') continue;
      context.addIssue({
        code: 'custom',
        path: ['request', field],
        message: 'is of inbound requests: outbound ones come from the workload itself',
      });
    }
  });

export type Case = z.output<typeof conformanceCase>;
export type Expectation = z.output<typeof expect>;
export type Header = z.output<typeof header>;

/**
 * Reads a case.
 *
 * @returns the case, or why it can't be run
 */
export function readCase(value: unknown): Case | { error: string } {
  const read = conformanceCase.safeParse(value);
  if (read.success) return read.data;
  const errors = fieldErrors(conformanceCase, read.error.issues, value).map(({ path, message, nearest }) => {
    const meant = nearest === undefined ? '' : ` (did you mean ${nearest}?)`;
    return `${path === '' ? 'the case' : path} ${message}${meant}`;
  });
  return { error: `can't be run: ${errors.join('; ')}` };
}
