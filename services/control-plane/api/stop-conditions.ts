import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { queryConditions } from '../../policy/stop-when.ts';
import { seesPolicy } from '../access/scope.ts';
import type { Runtime } from '../runtime.ts';
import type { Watched } from '../stop-conditions/watched.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import { scopeParam } from './proxies.ts';
import { refuseBadQuery } from './query.ts';

const standing = z
  .object({
    index: z.int().describe('The place of the condition in `spec.stopWhen`.'),
    state: z
      .enum(['fine', 'holds', 'no-data', 'not-evaluated'])
      .describe('What the last answer of Prometheus meant; `not-evaluated` while the policy is not active, or nobody has asked yet.'),
    value: z.number().nullable().describe('Of the sample that is nearest to the condition, or furthest beyond; null without data.'),
    problem: z.string().nullable().describe('Why there is no data.'),
    evaluatedAt: z.iso.datetime().nullable(),
    since: z.iso.datetime().nullable().describe('Since when it holds, or has no data, without a break; null when it does not.'),
    replica: z.string().nullable().describe('Which replica evaluates it.'),
  })
  .openapi('StopConditionStanding');

const standings = z
  .object({
    policy: z.string(),
    appliedAt: z.iso.datetime().describe('The apply that they are of.'),
    conditions: z.array(standing).describe('Those conditions of `spec.stopWhen` that Prometheus is asked for.'),
    incomplete: z.array(z.string()).describe('Replicas that could not be asked.'),
  })
  .openapi('StopConditionStandings');

type Standing = z.output<typeof standing>;

/** How the stop conditions of a policy stand. One replica evaluates them, so the others ask it. */
export function stopConditionRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/policies/{name}/stop-conditions',
    operationId: 'getPolicyStopConditions',
    summary: 'How the stop conditions stand that Prometheus is asked for: their values, when they were asked for, and by which replica.',
    tags: ['policies'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: { params: z.object({ name: z.string().max(253) }), query: z.strictObject({ scope: scopeParam }) },
    responses: {
      200: { description: 'The conditions.', content: { 'application/json': { schema: standings } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'not-found', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    const { name } = c.req.valid('param');
    const stored = parts.copy.policies.get(name);
    if (stored === undefined || !seesPolicy(c.get('actor'), stored.policy))
      throw new Problem('not-found', `There is no policy ${JSON.stringify(name)}.`);
    const queries = queryConditions(stored.policy.spec.stopWhen);
    const own = parts.stopConditions.standing(name).map((watched) => shown(watched, parts.replica, parts.runtime));
    const path = `/v1/policies/${encodeURIComponent(name)}/stop-conditions?scope=local`;
    const { answers, incomplete } =
      c.req.valid('query').scope === 'local' || queries.length === 0
        ? { answers: [], incomplete: [] }
        : await parts.peers.ask(path, standings, c.req.header('authorization') ?? '', 0, c.req.raw.signal);
    const known = [
      ...own,
      ...answers.filter(({ appliedAt }) => Date.parse(appliedAt) === stored.appliedAt).flatMap(({ conditions }) => conditions),
    ];
    return c.json(
      {
        policy: name,
        appliedAt: new Date(stored.appliedAt).toISOString(),
        conditions: queries.map(({ index }) => newest(known.filter((one) => one.index === index)) ?? notEvaluated(index)),
        incomplete: [...incomplete],
      },
      200,
    );
  });
}

function newest(known: readonly Standing[]): Standing | undefined {
  return [...known].sort((one, other) => ((one.evaluatedAt ?? '') > (other.evaluatedAt ?? '') ? -1 : 1))[0];
}

function notEvaluated(index: number): Standing {
  return { index, state: 'not-evaluated', value: null, problem: null, evaluatedAt: null, since: null, replica: null };
}

function shown({ condition: { index }, last, since }: Watched, replica: string, { clock }: Runtime): Standing {
  if (last === undefined) return { ...notEvaluated(index), replica };
  const { verdict, at } = last;
  const held = since === undefined ? null : new Date(clock.now() - (clock.elapsed() - since)).toISOString();
  return {
    index,
    state: verdict.kind,
    // JSON has no infinity.
    value: verdict.kind === 'no-data' ? null : Math.min(Math.max(verdict.value, -Number.MAX_VALUE), Number.MAX_VALUE),
    problem: verdict.kind === 'no-data' ? verdict.why : null,
    evaluatedAt: new Date(at).toISOString(),
    since: held,
    replica,
  };
}
