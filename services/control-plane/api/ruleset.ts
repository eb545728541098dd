import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import {
  HEADER_ACKNOWLEDGED,
  HEADER_FILTER,
  HEADER_LABELS,
  HEADER_LAYOUT_VERSION,
  HEADER_LEASE,
  HEADER_NAMESPACE,
  HEADER_POLL_FAILURES,
  HEADER_PROXY,
  HEADER_REFUSED,
  HEADER_REQUESTS,
  HEADER_REVISION,
  HEADER_UNREADABLE,
  HEADER_VMS,
  HEADER_WORKLOAD,
  RULESET_PATH,
} from '../../../filter/assembly/protocol.ts';
import { askingOf } from './asking.ts';
import { proxies } from './auth.ts';
import type { Env } from './env.ts';
import { LONGEST_PROXY_NAME } from './identify.ts';
import type { Parts } from './parts.ts';
import { answerPoll } from './poll.ts';
import { refusals } from './problem.ts';

const text = (description: string) => z.string().optional().describe(description);

const identityHeaders = z.object({
  [HEADER_PROXY]: text("Needed: the Envoy node's id, unique in the mesh.").openapi({ maxLength: LONGEST_PROXY_NAME }),
  [HEADER_NAMESPACE]: text('The Kubernetes namespace.'),
  [HEADER_WORKLOAD]: text("The workload's name."),
  [HEADER_LABELS]: text("The pod's labels as `key=value,key=value`."),
  [HEADER_ACKNOWLEDGED]: text('The version that all its workers run.'),
  [HEADER_LAYOUT_VERSION]: text('The ruleset layout that the filter reads.'),
  [HEADER_REFUSED]: text('How many rulesets were refused, then `;` and the last reason.'),
  [HEADER_POLL_FAILURES]: text('How many polls failed.'),
  [HEADER_FILTER]: text("The filter's version."),
  [HEADER_VMS]: text('How many VMs run the filter.'),
  [HEADER_REQUESTS]: text('How many requests came by since the proxy began: inbound, `;`, outbound.'),
  [HEADER_LEASE]: text('The lease in milliseconds.'),
  [HEADER_REVISION]: text('The newest change that an answer spoke of; this one waits until it knows as much.'),
  [HEADER_UNREADABLE]: text('What of the identity could not be read.'),
  'if-none-match': text('The version that the proxy has.'),
  prefer: text('`wait=25`: how many seconds to wait for news, at most 60.'),
});

/** The proxies' long poll, as Hono serves it. Behind a socket it is `poll-listener.ts` that does, in the same words. */
export function rulesetRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: RULESET_PATH as '/v1/ruleset',
    operationId: 'pollRuleset',
    summary: "A proxy's long poll: the ruleset it should run, once that differs from what it has.",
    tags: ['proxies'],
    security: [{ bearer: [] }],
    middleware: [proxies(parts.tokens)] as const,
    request: { headers: identityHeaders },
    responses: {
      200: {
        description: 'The ruleset.',
        content: { 'application/octet-stream': { schema: z.any().openapi({ type: 'string', format: 'binary' }) } },
      },
      304: { description: 'Nothing new.' },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'conflict', 'layout-mismatch', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>().openapi(route, async (c) => {
    const { status, headers, body } = await answerPoll(parts, askingOf(c), c.get('actor'));
    return status === 200 ? c.body(body, status, headers) : c.body(body, status, headers);
  });
}
