import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { seesPolicy } from '../access/scope.ts';
import { countsValue } from '../counts/proxy-counts.ts';
import { partsOf, shownRun, VERDICTS } from '../counts/shown.ts';
import { KINDS, REASONS } from '../counts/tally.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { caughtUp } from './poll.ts';
import { Problem, refusals } from './problem.ts';
import { scopeParam } from './proxies.ts';
import { refuseBadQuery } from './query.ts';

const named = <Name extends string>(names: readonly Name[]) =>
  z.object(Object.fromEntries(names.map((name) => [name, z.int()])) as Record<Name, z.ZodInt>);

export const tally = z
  .object({
    matched: z.int().describe('Requests that the match fitted: each was injected or skipped.'),
    injected: z.int().describe('Requests that were hit.'),
    kinds: named(KINDS).describe('What was done to them. One can have had several, or none when its client left first.'),
    skipped: named(REASONS).describe('Requests that were let be, by the reason.'),
  })
  .openapi('Tally');

const part = z.object({ proxy: z.string(), counts: countsValue, before: z.int(), unasked: z.int(), uncounted: z.int() });

const policyCounts = z
  .object({
    policy: z.string(),
    appliedAt: z.iso.datetime().describe('The counts are of this apply.'),
    verdict: z
      .enum(VERDICTS)
      .describe(
        '`inconclusive` when it has ended and hit nothing; `settling` while the last reports may still come; `effective` when it has ended and hit something.',
      ),
    total: tally,
    perSecond: z.number().describe('Requests hit a second, over the last 10 s.'),
    rules: z.array(
      z.object({
        name: z.string(),
        counts: tally,
        limit: z.int().nullable().describe('How many requests all proxies together may hit; null = any.'),
        limitReached: z.boolean(),
      }),
    ),
    proxies: z
      .array(
        z.object({
          name: z.string(),
          counts: tally,
          perSecond: z.number(),
          unasked: z.int().describe('Requests that lost the dice before any rule was asked, whatever the policy.'),
          uncounted: z
            .int()
            .describe(
              'Requests that it had no room to count by rule, whatever the policy: of any, the counts of its policies are too small.',
            ),
        }),
      )
      .describe('The proxies that counted something. Those that are gone for a day are in `total` alone.'),
    incomplete: z.array(z.string()).describe('Replicas that could not be asked: what they heard in the last second may be missing.'),
    parts: z.array(part).optional().describe('With `scope=local`: what this replica knows.'),
  })
  .openapi('PolicyCounts');

/** How often a policy hit. */
export function policyCountRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/policies/{name}/counts',
    operationId: 'getPolicyCounts',
    summary: 'How often a policy matched, hit and let be, since its apply, by rule and by proxy.',
    tags: ['policies'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: {
      params: z.object({ name: z.string().max(253) }),
      query: z.strictObject({
        revision: z.coerce
          .number()
          .int()
          .min(0)
          .default(0)
          .describe('Waits a little until this replica knows a change: its `resourceVersion`.'),
        scope: scopeParam,
      }),
    },
    responses: {
      200: { description: 'The counts.', content: { 'application/json': { schema: policyCounts } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'not-found', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { name } = c.req.valid('param');
    const { revision, scope } = c.req.valid('query');
    await caughtUp(parts, revision, c.req.raw.signal);
    const run = parts.counts.current(name);
    // The run's own copy knows of no renewal.
    const stored = run?.stored && (parts.copy.policies.get(name) ?? run.stored);
    if (run === undefined || stored === undefined || !seesPolicy(c.get('actor'), stored.policy)) {
      throw new Problem('not-found', `There is no policy ${JSON.stringify(name)}.`);
    }
    const own = partsOf(run, parts.runtime.clock.elapsed()).map((one) => ({ ...one, ...ofNoRule(parts, one.proxy) }));
    const local = scope === 'local';
    const path = `/v1/policies/${encodeURIComponent(name)}/counts?scope=local&revision=${stored.revision}`;
    const { answers, incomplete } = local
      ? { answers: [], incomplete: [] }
      : await parts.peers.ask(path, policyCounts, c.req.header('authorization') ?? '', 0, c.req.raw.signal);
    // A replica that knows another apply of it has nothing to say of this one.
    const others = answers.filter(({ appliedAt }) => Date.parse(appliedAt) === stored.appliedAt).flatMap((answer) => answer.parts ?? []);
    const all = [...own, ...others];
    const { proxies, ...shown } = shownRun(stored, all, parts.runtime.clock.now());
    const ofNone = new Map<string, { unasked: number; uncounted: number }>();
    for (const { proxy, unasked, uncounted } of all) {
      const known = ofNone.get(proxy);
      ofNone.set(proxy, { unasked: Math.max(unasked, known?.unasked ?? 0), uncounted: Math.max(uncounted, known?.uncounted ?? 0) });
    }
    return c.json(
      {
        policy: name,
        appliedAt: new Date(stored.appliedAt).toISOString(),
        ...shown,
        rules: [...shown.rules],
        proxies: proxies.map((proxy) => ({ ...proxy, unasked: 0, uncounted: 0, ...ofNone.get(proxy.name) })),
        incomplete: [...incomplete],
        ...(local ? { parts: own } : {}),
      },
      200,
    );
  });
}

function ofNoRule(parts: Parts, proxy: string): { unasked: number; uncounted: number } {
  const { unasked = 0, uncounted = 0 } = parts.counts.ofNoRule(proxy) ?? {};
  return { unasked, uncounted };
}
