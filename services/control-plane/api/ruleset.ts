import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { LAYOUT_VERSION } from '../../../filter/assembly/layout.ts';
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
  HEADER_REPLICA,
  HEADER_REVISION,
  HEADER_TIME,
  HEADER_UNREADABLE,
  HEADER_VMS,
  HEADER_WORKLOAD,
} from '../../../filter/assembly/protocol.ts';
import { notOwn, refusalOf } from '../access/own-proxy.ts';
import { seesNamespace } from '../access/scope.ts';
import { readLabels } from '../fleet/identity.ts';
import type { Hello } from '../fleet/proxy.ts';
import { pause } from '../runtime.ts';
import { identified, proxies } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import { preferredWaitMs, refuseBadQuery } from './query.ts';

const text = (description: string) => z.string().optional().describe(description);

const identityHeaders = z.object({
  [HEADER_PROXY]: z.string().max(1024).optional().describe("Needed: the Envoy node's id, unique in the mesh."),
  [HEADER_NAMESPACE]: text('The Kubernetes namespace.'),
  [HEADER_WORKLOAD]: text("The workload's name."),
  [HEADER_LABELS]: text("The pod's labels as `key=value,key=value`."),
  [HEADER_ACKNOWLEDGED]: text('The version that all its workers run.'),
  [HEADER_LAYOUT_VERSION]: text('The ruleset layout that the filter reads.'),
  [HEADER_REFUSED]: text('How many rulesets were refused, then `;` and the last reason.'),
  [HEADER_POLL_FAILURES]: text('How many polls failed.'),
  [HEADER_FILTER]: text("The filter's version."),
  [HEADER_VMS]: text('How many VMs run the filter.'),
  [HEADER_LEASE]: text('The lease in milliseconds.'),
  [HEADER_REVISION]: text('The newest change that an answer spoke of; this one waits until it knows as much.'),
  [HEADER_UNREADABLE]: text('What of the identity could not be read.'),
  'if-none-match': text('The version that the proxy has.'),
  prefer: text('`wait=25`: how many seconds to wait for news, at most 60.'),
});

/** The proxies' long poll. */
export function rulesetRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/ruleset',
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

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const hello = readHello(c);
    refuseForeign(c, parts, hello);
    const halted = (): boolean => mustHalt(parts, hello.namespace);
    await mustNotGoBack(parts, wholeNumber(c.req.header(HEADER_REVISION)), c.req.raw.signal, halted);
    const answer = await parts.fleet.poll(hello, preferredWaitMs(c), c.req.raw.signal);
    // The token may have ended while the poll was held.
    await identified(c, parts.tokens, 'served');
    c.header(HEADER_REVISION, String(parts.copy.lastChange));
    c.header(HEADER_REPLICA, parts.start);
    c.header(HEADER_TIME, String(parts.runtime.clock.now()));
    c.header('cache-control', 'no-store');
    switch (answer.kind) {
      case 'ruleset':
        c.header('etag', `"${answer.ruleset.version}"`);
        c.header('content-type', 'application/octet-stream');
        // The same bytes go to every proxy with the same policies; nobody writes to them.
        return c.body(answer.ruleset.bytes as Uint8Array<ArrayBuffer>, 200);
      case 'nothing-new':
        c.header('etag', `"${answer.version}"`);
        return c.body(null, 304);
      case 'layout':
        throw new Problem('layout-mismatch', `This control plane writes ruleset layout ${LAYOUT_VERSION}.`);
      case 'lapse':
        throw new Problem('conflict', 'This proxy refused to be halted; it is not answered, so that its lease ends.');
      case 'stale':
        throw new Problem('store-unavailable', 'This replica has no current copy of the policies.', { retryAfter: 1 });
    }
  });
}

/** @throws Problem `forbidden` when the token is for other proxies */
export function refuseForeign(c: Context<Env>, { fleet }: Parts, hello: Hello): void {
  const caller = c.get('actor');
  const known = fleet.namespaceOf(hello.name);
  const taken = caller.namespaces !== undefined && known !== undefined && known !== '' && !seesNamespace(caller, known);
  const reason = notOwn(caller, hello) ?? (taken ? 'one whose name a proxy of another namespace has' : undefined);
  if (reason !== undefined) throw new Problem('forbidden', refusalOf(caller, reason));
}

/** Another replica told the proxy of a change: its watch was faster by milliseconds, or this one's hangs. */
const CATCH_UP_MS = 2000;
const LOOK_AGAIN_MS = 2;

/**
 * Waits until this replica has seen what the proxy has been told of elsewhere, so that nothing that was deleted comes back. After etcd was
 * restored from a backup its revisions begin lower: then there is nothing more to see.
 *
 * @param halted ends the wait: what is halted does no harm
 * @throws Problem `store-unavailable` when there is more to see than this replica sees in time; StoreUnavailable when nobody can tell
 */
async function mustNotGoBack(parts: Parts, revision: number, signal: AbortSignal, halted: () => boolean): Promise<void> {
  await caughtUp(parts, revision, signal, () => !halted());
  if (parts.copy.revision >= revision || halted() || signal.aborted || (await parts.store.revision()) < revision) return;
  throw new Problem('store-unavailable', 'This replica has not seen yet what the proxy has heard of.', { retryAfter: 1 });
}

/**
 * Waits a little until this replica has seen a revision.
 *
 * @param needed asked before each look: false ends the wait
 */
export async function caughtUp(
  { copy, runtime }: Parts,
  revision: number,
  signal: AbortSignal,
  needed: () => boolean = () => true,
): Promise<void> {
  const until = runtime.clock.elapsed() + CATCH_UP_MS;
  while (copy.revision < revision && runtime.clock.elapsed() < until && !signal.aborted && needed()) await pause(runtime, LOOK_AGAIN_MS);
}

/** With a halt of which etcd may not know, or whose lifting this replica can't see, nobody waits. */
function mustHalt({ copy, halts }: Parts, namespace: string): boolean {
  return halts.isOwn(namespace) || (!copy.fresh() && halts.of(namespace) !== undefined);
}

/** The most that is kept of a text that a proxy sends for people to read. */
const LONGEST_TEXT = 512;

export function readHello(c: Context<Env>): Hello {
  const header = (name: string): string => c.req.header(name) ?? '';
  const name = header(HEADER_PROXY);
  if (name === '') throw new Problem('invalid', `The header ${HEADER_PROXY} is missing.`);
  const refused = header(HEADER_REFUSED);
  const [count, ...reason] = refused.split(';');
  return {
    name,
    namespace: header(HEADER_NAMESPACE),
    workload: header(HEADER_WORKLOAD),
    labels: readLabels(header(HEADER_LABELS)),
    acknowledged: header(HEADER_ACKNOWLEDGED).slice(0, LONGEST_TEXT),
    has: header('if-none-match').replace(/^W\//, '').replaceAll('"', ''),
    refused: wholeNumber(count) === 0 ? null : { count: wholeNumber(count), reason: reason.join(';').trim().slice(0, LONGEST_TEXT) },
    unreadable: header(HEADER_UNREADABLE)
      .split(',')
      .map((part) => part.trim().slice(0, LONGEST_TEXT))
      .filter((part) => part !== ''),
    pollFailures: wholeNumber(header(HEADER_POLL_FAILURES)),
    filter: header(HEADER_FILTER).slice(0, LONGEST_TEXT),
    vms: wholeNumber(header(HEADER_VMS)),
    leaseMs: Math.min(wholeNumber(header(HEADER_LEASE)), 3_600_000),
    layoutFits: [String(LAYOUT_VERSION), ''].includes(header(HEADER_LAYOUT_VERSION)),
  };
}

/** A header's number; 0 when it is none. */
export function wholeNumber(text: string | undefined): number {
  return text !== undefined && /^[0-9]{1,15}$/.test(text.trim()) ? Number(text) : 0;
}
