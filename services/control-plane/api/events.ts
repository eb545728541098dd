import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import type { Scope } from '../access/caller.ts';
import { coversSelector, seesHalt } from '../access/scope.ts';
import { HALT_EVENTS, type Happening, POLICY_EVENTS } from '../events/events.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';

/** Streams at a time on one replica: each is a connection that stays. */
const MOST_STREAMS = 200;
/** What stands between is told to be sure that somebody still listens. */
const HEARTBEAT_MS = 15_000;

const event = z
  .object({
    time: z.iso.datetime(),
    type: z.enum(['policy', 'halt', 'fleet']),
    what: z.enum([...POLICY_EVENTS, ...HALT_EVENTS]).optional(),
    policy: z.string().optional(),
    namespace: z
      .string()
      .nullable()
      .optional()
      .describe("The namespace that the policy's selector names, or that is halted; null for none, or for everything."),
    revision: z.int().optional(),
    message: z.string().optional(),
    connected: z.int().optional().describe('Of `fleet`: the proxies that this replica holds.'),
    current: z.int().optional().describe('Of `fleet`: those of them that run what they should.'),
  })
  .openapi('Event');

/** What happens, as it happens. */
export function eventRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/events',
    operationId: 'watchEvents',
    summary: 'What happens, as it happens: server-sent events, until the client goes.',
    description:
      'Each event has its type as name, the JSON of `Event` as data, and an id; with the id of the last one in `Last-Event-ID` those that were missed come first, and `gap` in their place when they are not kept any more. Who did it is in the audit.',
    tags: ['status'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: {
      headers: z.object({ 'last-event-id': z.string().max(64).optional().describe('Where to go on: the id of an event of this replica.') }),
    },
    responses: {
      200: { description: 'The stream.', content: { 'text/event-stream': { schema: event } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests'),
    },
  });
  let streams = 0;

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, (c) => {
    if (streams >= MOST_STREAMS)
      throw new Problem('too-many-requests', `${streams} clients watch this replica already.`, { retryAfter: 10 });
    streams++;
    const ended = AbortSignal.any([c.req.raw.signal, parts.fleet.ending]);
    const last = c.req.header('last-event-id');
    // What Hono's helper returns is a plain response, which the route's type doesn't know.
    const caller = c.get('actor');
    return streamSSE(c, async (stream) => {
      stream.onAbort(() => undefined);
      try {
        await follow(parts, stream, caller, last, ended);
      } finally {
        streams--;
      }
    }) as never;
  });
}

async function follow(parts: Parts, stream: SSEStreamingApi, caller: Scope, last: string | undefined, ended: AbortSignal): Promise<void> {
  const { events, start } = parts;
  const [, from, number] = /^([0-9a-f]{16})-(\d{1,15})$/.exec(last ?? '') ?? [];
  let told = from === start ? Math.min(Number(number), events.last) : events.last;
  let gap = last !== undefined && from !== start;
  // So that the client knows at once that it is heard, and from where on.
  await stream.write(`: ${parts.replica}\nid: ${start}-${told}\n\n`);
  while (!ended.aborted && !stream.aborted) {
    const { events: news, missed } = events.after(told);
    if (missed || gap) await stream.writeSSE({ event: 'gap', data: '{}', id: `${start}-${told}` });
    gap = false;
    for (const { number: at, time, ...happening } of news) {
      told = at;
      if (!seen(caller, happening)) continue;
      await stream.writeSSE({
        event: happening.type,
        data: JSON.stringify({ time: new Date(time).toISOString(), ...happening }),
        id: `${start}-${at}`,
      });
    }
    if (!(await moreIn(parts, told, ended))) await stream.write(': still here\n\n');
  }
}

/** Whether a caller may hear of it; how all proxies stand is for those who may see all. */
function seen(caller: Scope, happening: Happening): boolean {
  if (happening.type === 'halt') return seesHalt(caller, happening);
  if (happening.type === 'policy') return coversSelector(caller, { namespace: happening.namespace ?? undefined });
  return caller.namespaces === undefined;
}

/** Waits for an event. @returns false when none came before it was time for a sign of life */
async function moreIn({ events, runtime }: Parts, told: number, ended: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const cancel = runtime.timers.after(HEARTBEAT_MS, () => over.abort());
  await events.next(told, AbortSignal.any([ended, over.signal]));
  cancel();
  return !over.signal.aborted;
}
