import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { type Rollout, rollout } from '../fleet/rollout.ts';
import { pause } from '../runtime.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import { scopeParam } from './proxies.ts';
import { preferredWaitMs, refuseBadQuery } from './query.ts';

const rolloutResource = z
  .object({
    revision: z.int(),
    done: z.boolean().describe('All connected proxies that it concerns run what they should.'),
    selected: z.int(),
    acknowledged: z.int(),
    proxies: z.array(
      z.object({
        name: z.string(),
        acknowledged: z.boolean(),
        version: z.string(),
        wanted: z.string(),
        reason: z.string().nullable().describe('Why not, as far as it is known.'),
      }),
    ),
    disconnected: z
      .array(z.string())
      .describe('Proxies that it concerns and that were heard of lately, but are not connected: `done` does not speak for them.'),
    incomplete: z.array(z.string()).describe('Replicas that could not be asked.'),
  })
  .openapi('Rollout');

type RolloutResource = z.output<typeof rolloutResource>;

/** A peer that doesn't answer is asked again this often, in milliseconds, until it does or is known to be gone. */
const ASK_AGAIN_MS = 250;

/** Whether a change has arrived at the proxies. */
export function rolloutRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/rollout',
    operationId: 'getRollout',
    summary: 'Whether the connected proxies run what they should at a revision; with `Prefer: wait=N` answered when they do.',
    tags: ['proxies'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: {
      query: z.strictObject({
        revision: z.coerce.number().int().min(0).describe('The `resourceVersion` that a change answered.'),
        policy: z.string().max(253).optional().describe('Look only at the proxies that this policy selects.'),
        scope: scopeParam,
      }),
      headers: z.object({ prefer: z.string().optional().describe('`wait=30`: how many seconds to wait, at most 60.') }),
    },
    responses: {
      200: { description: 'How far it is.', content: { 'application/json': { schema: rolloutResource } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'not-found'),
    },
  });

  const view = {
    fleet: parts.fleet,
    runtime: parts.runtime,
    seen: () => parts.copy.revision,
    policy: (name: string) => parts.copy.policies.get(name),
  };

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { revision, policy, scope } = c.req.valid('query');
    const signal = AbortSignal.any([c.req.raw.signal, parts.fleet.ending]);
    const { clock } = parts.runtime;
    const deadline = clock.elapsed() + preferredWaitMs(c);
    // Nothing selected would look like a change that has arrived.
    const refuseUnknown = (): void => {
      if (policy === undefined || parts.copy.revision < revision || parts.copy.policies.has(policy)) return;
      throw new Problem(
        'not-found',
        `There is no policy ${JSON.stringify(policy)} any more; ask without its name whether its end has arrived.`,
      );
    };
    if (scope !== 'local') refuseUnknown();
    const local = rollout(view, revision, policy, preferredWaitMs(c), signal);
    if (scope === 'local') {
      const own = await local;
      return c.json({ ...own, proxies: [...own.proxies], disconnected: [...own.disconnected], incomplete: [] }, 200);
    }
    const path = `/v1/rollout?scope=local&revision=${revision}${policy === undefined ? '' : `&policy=${encodeURIComponent(policy)}`}`;
    const authorization = c.req.header('authorization') ?? '';
    for (;;) {
      const left = Math.max(0, deadline - clock.elapsed());
      const asking = parts.peers.ask(path, rolloutResource, authorization, left, signal);
      const [own, others] = await Promise.all([local, asking]);
      const result = together(own, others.answers, others.incomplete);
      refuseUnknown();
      if (result.done || signal.aborted || clock.elapsed() + ASK_AGAIN_MS >= deadline || !parts.serving()) return c.json(result, 200);
      await pause(parts.runtime, ASK_AGAIN_MS);
    }
  });
}

/** What all replicas say, as one. A proxy that moved counts as what its new replica says. */
function together(own: Rollout, others: readonly RolloutResource[], incomplete: readonly string[]): RolloutResource {
  const byName = new Map<string, Rollout['proxies'][number]>();
  for (const proxy of [own, ...others].flatMap((answer) => answer.proxies)) {
    if (byName.get(proxy.name)?.acknowledged !== true) byName.set(proxy.name, proxy);
  }
  const proxies = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const acknowledged = proxies.filter((proxy) => proxy.acknowledged).length;
  const seen = [own, ...others].every((answer) => answer.done || answer.proxies.some((proxy) => !proxy.acknowledged));
  return {
    revision: own.revision,
    done: seen && acknowledged === proxies.length && incomplete.length === 0,
    selected: proxies.length,
    acknowledged,
    proxies,
    // One that another replica holds has moved there.
    disconnected: [...new Set([own, ...others].flatMap((answer) => answer.disconnected))].filter((name) => !byName.has(name)).sort(),
    incomplete: [...incomplete],
  };
}
