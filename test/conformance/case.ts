import { z } from '@hono/zod-openapi';
import { fieldErrors } from '../../services/policy/problems.ts';

/** One case as it stands on a line of a file: policies and a request for a proxy, and what must come of it. */

/** What can become of a request. */
export const KINDS = ['none', 'abort', 'delay', 'delay+abort', 'reset', 'response', 'request'] as const;
export type Kind = (typeof KINDS)[number];

const headerName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'is no header name');
const header = z.tuple([headerName, z.string()]);
/** Null when it must not be there. */
const expectedHeader = z.tuple([headerName, z.string().nullable()]);
/** 101 answers an upgrade. */
const status = z.union([z.literal(101), z.int().min(200).max(599)], 'must be 101, or 200 to 599');

/** An object all of whose fields may be missing, or null, as some write it. */
const part = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.preprocess(
    (value) => (isObject(value) ? Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null)) : value),
    z.strictObject(shape),
  );

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

const proxy = part({
  namespace: z.string().default('demo'),
  /** Istio's canonical service name, unless a label says it; empty for a pod that no label gives one. */
  service: z.string().default('frontend'),
  workload: z.string().default('frontend-v1'),
  labels: z.record(z.string(), z.string()).default({}),
  direction: z.enum(['inbound', 'outbound']).default('inbound'),
});

const peer = part({
  workload: z.string().optional(),
  service: z.string().optional(),
  version: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
});

const request = part({
  method: z.string().min(1).default('GET'),
  path: z.string().min(1).default('/'),
  authority: z.string().default('x'),
  headers: z.array(header).default([]),
  body: z.string().default(''),
  /** The caller's identity under mutual TLS, the URI of its certificate; empty without one. Outbound requests come from the workload itself. */
  source: z.string().optional(),
  /** What the caller's sidecar says of it; nothing of outbound requests either. */
  peer: peer.optional(),
});

const upstream = part({
  status: status.default(200),
  headers: z.array(header).default([]),
  body: z.string().default('ok'),
});

/** What the service got of a request. */
const arrival = part({
  method: z.string().optional(),
  /** With the query. */
  path: z.string().optional(),
  /** As in `expect.headers`; the authority is `host`. */
  headers: z.array(expectedHeader).optional(),
  body: z.string().optional(),
}).refine((given) => Object.keys(given).length > 0, 'expects nothing');

const expect = part({
  fault: z.enum(KINDS).optional(),
  policy: z.string().optional(),
  rule: z.int().min(0).optional(),
  /** 0 when there is no answer. */
  status: z.union([z.literal(0), status], 'must be 0 for no answer, 101, or 200 to 599').optional(),
  body: z.string().optional(),
  headers: z.array(expectedHeader).optional(),
  /** False when the service isn't asked at all. */
  service: z.union([z.literal(false), arrival]).optional(),
  /** How long the request is held in all. */
  delayMs: z.number().min(0).optional(),
  /** The share of the repeats that are faulted. What else is expected is then expected of those only. */
  rate: z.number().min(0).max(1).optional(),
  /** Which of the repeats are faulted, from 1 on, and no other. What else is expected is then expected of those only. */
  hit: z.array(z.int().min(1)).optional(),
})
  .refine((given) => Object.keys(given).length > 0, 'expects nothing')
  .refine(({ rate, hit }) => rate === undefined || hit === undefined, 'takes one of rate and hit, not both');

const conformanceCase = part({
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
}).superRefine((given, context) => {
  if ((given.expect === undefined) === (given.invalid === undefined)) {
    context.addIssue({ code: 'custom', message: 'needs one of expect and invalid' });
  }
  if (given.expect?.hit?.some((number) => number > given.repeat)) {
    context.addIssue({ code: 'custom', path: ['expect', 'hit'], message: `names a request beyond the last, ${given.repeat}` });
  }
});

export type Case = z.output<typeof conformanceCase>;
export type Expectation = z.output<typeof expect>;
export type Header = z.output<typeof header>;
export type ExpectedHeader = z.output<typeof expectedHeader>;

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
