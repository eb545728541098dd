import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Caller } from '../access/caller.ts';
import { seesNamespace, seesPolicy } from '../access/scope.ts';
import { type Rollout, type RolloutView, rollout, rolloutNow } from '../fleet/rollout.ts';
import { pause } from '../runtime.ts';
import { onlookers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import { scopeParam } from './proxies.ts';
import { preferredWaitMs, refuseBadQuery } from './query.ts';

const rolloutResource = z
  .object({
    revision: z.int(),
    seen: z.boolean().describe('The control plane itself has seen the revision.'),
    done: z.boolean().describe('All connected proxies that it concerns run what they should.'),
    selected: z.int(),
    acknowledged: z.int(),
    proxies: z.array(
      z.object({
        name: z.string(),
        acknowledged: z.boolean(),
        version: z.string(),
        since: z.iso.datetime().nullable().describe('Since when it is known to run that version; null for none.'),
        wanted: z.string(),
        reason: z.string().nullable().describe('Why not, as far as it is known.'),
        lastSeen: z.iso.datetime().describe('When it was heard of last.'),
      }),
    ),
    disconnected: z
      .array(z.string())
      .describe('Proxies that it concerns and that were heard of lately, but are not connected: `done` does not speak for them.'),
    leases: z
      .array(z.object({ name: z.string(), endsAt: z.iso.datetime() }))
      .describe('Of the proxies that have not acknowledged, connected or not: until when they may go on with what they run.'),
    unheardUntil: z.iso
      .datetime()
      .nullable()
      .describe(
        'Of a halt: a replica was started or lost so lately that proxies of which none has heard since may go on until then with what was applied before; null when there can be none.',
      ),
    incomplete: z.array(z.string()).describe('Replicas that could not be asked.'),
  })
  .openapi('Rollout');

type RolloutResource = z.output<typeof rolloutResource>;

/** Between two questions to the other replicas, in milliseconds: doubled from the least to the most, which is less while it is new. */
const LEAST_PAUSE_MS = 2;
const MOST_PAUSE_MS = 200;
const MOST_EARLY_PAUSE_MS = 20;
const EARLY_MS = 1000;

/** Whether a change has arrived at the proxies. */
export function rolloutRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/rollout',
    operationId: 'getRollout',
    summary: 'Whether the connected proxies run what they should at a revision; with `Prefer: wait=N` answered when they do.',
    tags: ['proxies'],
    security: [{ bearer: [] }],
    middleware: [onlookers(parts.tokens)] as const,
    request: {
      query: z.strictObject({
        revision: z.coerce.number().int().min(0).describe('The `resourceVersion` that a change answered.'),
        policy: z.string().max(253).optional().describe('Look only at the proxies that this policy selects.'),
        namespace: z.string().max(253).optional().describe('Look only at the proxies of this namespace.'),
        halted: z
          .literal('true')
          .optional()
          .describe('It is a halt: a proxy whose replica has not heard of it has not acknowledged, whatever it runs.'),
        scope: scopeParam,
      }),
      headers: z.object({ prefer: z.string().optional().describe('`wait=30`: how many seconds to wait, at most 60.') }),
    },
    responses: {
      200: { description: 'How far it is.', content: { 'application/json': { schema: rolloutResource } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'not-found', 'too-many-requests', 'store-unavailable'),
    },
  });

  const viewOf = (caller: Caller): RolloutView => ({
    fleet: parts.fleet,
    runtime: parts.runtime,
    seen: () => parts.copy.revision,
    policy: (name) => {
      const stored = parts.copy.policies.get(name);
      return stored !== undefined && seesPolicy(caller, stored.policy) ? stored : undefined;
    },
    unheard: (namespace) => parts.unheard.until(namespace),
    sees: (namespace) => seesNamespace(caller, namespace),
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { scope, ...query } = c.req.valid('query');
    const { revision, policy } = query;
    const change = { ...query, halted: query.halted === 'true' };
    const signal = AbortSignal.any([c.req.raw.signal, parts.fleet.ending]);
    const { clock } = parts.runtime;
    const view = viewOf(c.get('actor'));
    const waitMs = preferredWaitMs(c.req.header('prefer'));
    const begun = clock.elapsed();
    const deadline = begun + waitMs;
    const mostPauseMs = (): number => (clock.elapsed() - begun < EARLY_MS ? MOST_EARLY_PAUSE_MS : MOST_PAUSE_MS);
    // Nothing selected would look like a change that has arrived.
    const refuseUnknown = (): void => {
      if (policy === undefined || parts.copy.revision < revision || view.policy(policy) !== undefined) return;
      throw new Problem(
        'not-found',
        `There is no policy ${JSON.stringify(policy)} any more; ask without its name whether its end has arrived.`,
      );
    };
    if (scope === 'local') {
      const own = await rollout(view, change, waitMs, signal);
      return c.json({ ...shown(own), incomplete: [] }, 200);
    }
    refuseUnknown();
    const asked = Object.entries(query).map(([name, value]) => `&${name}=${encodeURIComponent(String(value))}`);
    const path = `/v1/rollout?scope=local${asked.join('')}`;
    const authorization = c.req.header('authorization') ?? '';
    // A proxy may poll another replica each time, so no replica alone can tell when all have acknowledged: all are asked again and again.
    for (let pauseMs = LEAST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, mostPauseMs())) {
      const others = await parts.peers.ask(path, rolloutResource, authorization, 0, signal);
      const result = together(shown(rolloutNow(view, change)), others.answers, others.incomplete);
      refuseUnknown();
      const left = deadline - clock.elapsed();
      if (result.done || signal.aborted || left <= 0 || !parts.serving()) return c.json(result, 200);
      await pause(parts.runtime, Math.min(pauseMs, left));
    }
  });
}

type Own = Omit<RolloutResource, 'incomplete'>;

function shown({ proxies, disconnected, leases, unheardUntil, ...rest }: Rollout): Own {
  return {
    ...rest,
    unheardUntil: unheardUntil === null ? null : new Date(unheardUntil).toISOString(),
    leases: leases.map(({ name, endsAt }) => ({ name, endsAt: new Date(endsAt).toISOString() })),
    proxies: proxies.map(({ since, lastSeen, ...proxy }) => ({
      ...proxy,
      since: since === null ? null : new Date(since).toISOString(),
      lastSeen: new Date(lastSeen).toISOString(),
    })),
    disconnected: [...disconnected],
  };
}

type ProxyState = RolloutResource['proxies'][number];

/** Since when a proxy runs what it was last heard to run: whichever replica heard that first. */
function earliest(a: ProxyState, b: ProxyState): string | null {
  const [last, other] = a.lastSeen < b.lastSeen ? [b, a] : [a, b];
  if (last.version !== other.version || other.since === null) return last.since;
  return last.since !== null && last.since < other.since ? last.since : other.since;
}

/** What all replicas say, as one. Of a proxy that several know, the one that heard it last is right. */
function together(own: Own, others: readonly Own[], incomplete: readonly string[]): RolloutResource {
  const byName = new Map<string, ProxyState>();
  for (const proxy of [own, ...others].flatMap((answer) => answer.proxies)) {
    const known = byName.get(proxy.name);
    if (known === undefined) byName.set(proxy.name, proxy);
    else byName.set(proxy.name, { ...(known.lastSeen < proxy.lastSeen ? proxy : known), since: earliest(known, proxy) });
  }
  const proxies = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const acknowledged = proxies.filter((proxy) => proxy.acknowledged).length;
  const done = new Set(proxies.filter((proxy) => proxy.acknowledged).map((proxy) => proxy.name));
  const leases = new Map<string, string>();
  for (const { name, endsAt } of [own, ...others].flatMap((answer) => answer.leases)) {
    if (!done.has(name) && endsAt > (leases.get(name) ?? '')) leases.set(name, endsAt);
  }
  const unheard = [own, ...others].flatMap(({ unheardUntil }) => unheardUntil ?? []).sort();
  return {
    revision: own.revision,
    done:
      [own, ...others].every((answer) => answer.seen) && acknowledged === proxies.length && incomplete.length === 0 && unheard.length === 0,
    seen: [own, ...others].every((answer) => answer.seen),
    selected: proxies.length,
    acknowledged,
    proxies,
    // One that another replica holds has moved there.
    disconnected: [...new Set([own, ...others].flatMap((answer) => answer.disconnected))].filter((name) => !byName.has(name)).sort(),
    leases: [...leases].map(([name, endsAt]) => ({ name, endsAt })).sort((a, b) => (a.name < b.name ? -1 : 1)),
    unheardUntil: unheard.at(-1) ?? null,
    incomplete: [...incomplete],
  };
}
