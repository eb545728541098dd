import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import {
  HEADER_EPOCH,
  HEADER_LABELS,
  HEADER_NAMESPACE,
  HEADER_PROXY,
  HEADER_REPLICA,
  HEADER_REVISION,
  HEADER_WORKLOAD,
} from '../../../filter/assembly/protocol.ts';
import { COUNTERS, tallyOf } from '../counts/tally.ts';
import { askingOf } from './asking.ts';
import { reporters } from './auth.ts';
import { check, readText } from './body.ts';
import type { Env } from './env.ts';
import { readHello, wholeNumber } from './hello.ts';
import { LONGEST_PROXY_NAME } from './identify.ts';
import type { Parts } from './parts.ts';
import { caughtUp, refuseForeign } from './poll.ts';
import { Problem, refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';

/** A report of the filter has at most 16 KiB. */
const MAX_REPORT_BYTES = 64 * 1024;
const MOST_RULES = 1000;

const counter = z.int().min(0).optional();

export const reportSchema = z
  .strictObject({
    rules: z
      .array(
        z.strictObject({
          key: z
            .string()
            .regex(/^[0-9a-f]{16}$/, 'must be 16 hexadecimal digits')
            .describe(
              "The rule's key, as its ruleset has it; 0 is for requests that lost before any rule was asked, 1 for those that there was no room to count by rule.",
            ),
          ...(Object.fromEntries(COUNTERS.map((name) => [name, counter])) as Record<(typeof COUNTERS)[number], typeof counter>),
        }),
      )
      .max(MOST_RULES)
      .describe('What was counted since the proxy began, of the rules of which that changed.'),
  })
  .openapi('Report');

/** A reference, which the framework's validator leaves alone: it would read a body of any length. */
const reportBody = { $ref: '#/components/schemas/Report' } as unknown as typeof reportSchema;

const text = (description: string) => z.string().optional().describe(description);

const headers = z.object({
  [HEADER_PROXY]: text("Needed: the Envoy node's id, unique in the mesh.").openapi({ maxLength: LONGEST_PROXY_NAME }),
  [HEADER_NAMESPACE]: text('The Kubernetes namespace.'),
  [HEADER_WORKLOAD]: text("The workload's name."),
  [HEADER_LABELS]: text("The pod's labels as `key=value,key=value`."),
  [HEADER_REVISION]: text('The newest change that an answer to a poll spoke of; this one waits until it knows as much.'),
  [HEADER_EPOCH]: text("Needed: tells the proxy's process from the ones before it, 16 hexadecimal digits."),
});

/** What proxies counted. */
export function reportRoutes(parts: Parts) {
  const route = createRoute({
    method: 'post',
    path: '/v1/reports',
    operationId: 'postReport',
    summary: 'What a proxy counted, by rule. A report can come twice, late or not at all: the largest value of each counter counts.',
    tags: ['proxies'],
    security: [{ bearer: [] }],
    middleware: [reporters(parts.tokens)] as const,
    request: {
      headers,
      body: { required: true, content: { 'application/json': { schema: reportBody } } },
    },
    responses: {
      204: { description: 'Taken. What makes no sense in it is left out, and counted (`hfi_reports_ignored_total`).' },
      ...refusals(
        'invalid',
        'malformed',
        'unauthenticated',
        'forbidden',
        'too-large',
        'unsupported-media-type',
        'too-many-requests',
        'store-unavailable',
      ),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const hello = readHello(askingOf(c));
    refuseForeign(c.get('actor'), parts, hello);
    const { name, namespace, workload, labels, unreadable } = hello;
    const epoch = c.req.header(HEADER_EPOCH) ?? '';
    if (!/^[0-9a-f]{16}$/.test(epoch)) throw new Problem('invalid', `The header ${HEADER_EPOCH} must be 16 hexadecimal digits.`);
    if (!/^application\/json\b/.test(c.req.header('content-type') ?? '')) {
      throw new Problem('unsupported-media-type', 'Content-Type must be application/json.');
    }
    await knows(parts, wholeNumber(c.req.header(HEADER_REVISION)), c.req.raw.signal);
    const { rules } = check(reportSchema, parsed(await readText(c, 'report', MAX_REPORT_BYTES)));
    parts.counts.report({
      proxy: name,
      // Who can't say where it stands is selected by nothing.
      identity: unreadable.length > 0 || namespace === '' ? undefined : { namespace, workload, labels },
      epoch,
      rules: rules.map(({ key, ...values }) => ({ key: BigInt(`0x${key}`), tally: tallyOf(values) })),
    });
    c.header(HEADER_REPLICA, parts.start);
    return c.body(null, 204);
  });
}

/**
 * Waits until this replica knows the rules of which the proxy tells.
 *
 * @throws Problem `store-unavailable` when it doesn't in time: what is told of an unknown rule would be left out for good
 */
async function knows(parts: Parts, revision: number, signal: AbortSignal): Promise<void> {
  await caughtUp(parts, revision, signal);
  if (parts.copy.revision >= revision) return;
  throw new Problem('store-unavailable', 'This replica does not know the policies yet that the proxy has heard of.', { retryAfter: 1 });
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new Problem('malformed', 'The body is not JSON.');
  }
}
