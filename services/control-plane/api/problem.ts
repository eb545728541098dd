import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { FieldError } from '../../policy/problems.ts';

/** Every way in which a request can be refused. */
export const PROBLEM_CODES = [
  'invalid',
  'malformed',
  'unauthenticated',
  'forbidden',
  'not-found',
  'method-not-allowed',
  'conflict',
  'layout-mismatch',
  'precondition-failed',
  'guardrail',
  'too-large',
  'unsupported-media-type',
  'halted',
  'too-many-requests',
  'internal',
  'no-filter',
  'store-unavailable',
  'identity-unavailable',
] as const;

export type ProblemCode = (typeof PROBLEM_CODES)[number];

export const fieldErrorSchema = z
  .object({
    path: z.string().describe('The field, such as `spec.rules[0].match.path.exakt`.'),
    message: z.string(),
    allowed: z.array(z.string()).optional().describe('What may stand there instead.'),
    nearest: z.string().optional().describe('What was probably meant.'),
    guardrail: z.string().optional().describe('The guardrail that it goes beyond.'),
    value: z.union([z.string(), z.number()]).optional().describe('What it says.'),
    limit: z.union([z.string(), z.number()]).optional().describe('What the guardrail allows.'),
  })
  .openapi('FieldError');

export const problemSchema = z
  .object({
    type: z.string().describe('`urn:hfi:problem:` and the code.'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(PROBLEM_CODES),
    errors: z.array(fieldErrorSchema).describe('Each bad field; empty when the problem is of another kind.'),
  })
  .openapi('Problem');

/** What is wrong with a field, and what it goes beyond if that is why. */
export interface ProblemError extends FieldError {
  readonly guardrail?: string;
  readonly value?: string | number;
  readonly limit?: string | number;
}

/** A refusal, thrown anywhere below the API and answered in one place. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly errors: readonly ProblemError[];
  /** Seconds after which a try may do better. */
  readonly retryAfter: number | undefined;

  constructor(code: ProblemCode, detail: string, more: { errors?: readonly ProblemError[]; retryAfter?: number; cause?: unknown } = {}) {
    super(detail, { cause: more.cause });
    this.code = code;
    this.errors = more.errors ?? [];
    this.retryAfter = more.retryAfter;
  }
}

type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 422 | 423 | 429 | 500 | 503;

/** The one place that knows the codes' statuses and titles. */
function statusOf(code: ProblemCode): [ProblemStatus, string] {
  switch (code) {
    case 'invalid':
      return [400, 'Not valid'];
    case 'malformed':
      return [400, 'Not readable'];
    case 'unauthenticated':
      return [401, 'Who are you'];
    case 'forbidden':
      return [403, 'Not allowed'];
    case 'not-found':
      return [404, 'Not found'];
    case 'method-not-allowed':
      return [405, 'No such method here'];
    case 'conflict':
      return [409, 'Conflict'];
    case 'layout-mismatch':
      return [409, 'Another ruleset layout'];
    case 'precondition-failed':
      return [412, 'Changed in between'];
    case 'guardrail':
      return [422, 'Beyond a guardrail'];
    case 'too-large':
      return [413, 'Too large'];
    case 'unsupported-media-type':
      return [415, 'Not a known media type'];
    case 'halted':
      return [423, 'Halted'];
    case 'too-many-requests':
      return [429, 'Too many requests'];
    case 'internal':
      return [500, 'Internal error'];
    case 'no-filter':
      return [503, 'No filter here'];
    case 'store-unavailable':
      return [503, 'Store does not answer'];
    case 'identity-unavailable':
      return [503, 'Nobody says who you are'];
  }
}

/** What answers a problem, as RFC 9457 says. */
export function problemReply(problem: Problem): {
  readonly status: ProblemStatus;
  readonly headers: Record<string, string>;
  readonly body: string;
} {
  const [status, title] = statusOf(problem.code);
  const body: z.output<typeof problemSchema> = {
    type: `urn:hfi:problem:${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    errors: problem.errors.map((error) => ({ ...error })),
  };
  const headers: Record<string, string> = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' };
  if (problem.retryAfter !== undefined) headers['retry-after'] = String(problem.retryAfter);
  if (problem.code === 'unauthenticated') headers['www-authenticate'] = 'Bearer realm="hfi"';
  return { status, headers, body: JSON.stringify(body) };
}

/** Answers a problem. */
export function answerProblem(c: Context, problem: Problem): Response {
  const { status, headers, body } = problemReply(problem);
  return c.body(body, status, headers);
}

/** The refusals that a route's documentation lists, by their codes. */
export function refusals<const C extends ProblemCode>(...codes: readonly C[]) {
  const content = { 'application/problem+json': { schema: problemSchema } };
  const byStatus: Record<number, { description: string; content: typeof content }> = {};
  // Wherever a token is needed, it may be one that etcd knows, or Kubernetes, and who knows it may not answer.
  const unknown: readonly ProblemCode[] = codes.some((code) => code === 'unauthenticated')
    ? ['store-unavailable', 'identity-unavailable']
    : [];
  for (const code of new Set([...codes, ...unknown])) {
    const [status, title] = statusOf(code);
    const before = byStatus[status]?.description;
    byStatus[status] = { description: before === undefined ? `${title} (\`${code}\`).` : `${before} ${title} (\`${code}\`).`, content };
  }
  return byStatus;
}
