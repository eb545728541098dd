import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { MAX_RULESET_BYTES } from '../../../filter/assembly/layout.ts';
import { type Policy, type PolicyInput, policy as policySchema } from '../../policy/schema.ts';
import { seesPolicy } from '../access/scope.ts';
import type { StoredPolicy } from '../store/store.ts';
import { readers, writers } from './auth.ts';
import { readBody } from './body.ts';
import type { Env } from './env.ts';
import { guarded } from './guardrails.ts';
import { onlyIf } from './if-match.ts';
import { origin } from './origin.ts';
import type { Parts } from './parts.ts';
import { asResource, changeRefusals, policyResource } from './policy-resource.ts';
import { deletePolicy, type Intent, refuseOutside, writePolicy } from './policy-write.ts';
import { Problem, refusals } from './problem.ts';
import { selectableProxies } from './proxies.ts';
import { refuseBadQuery } from './query.ts';
import { reachOf, traffic } from './reach.ts';
import { seenPage } from './seen-page.ts';

const TAG = ['policies'];
const SECURED = [{ bearer: [] }];

/**
 * The body is read by `readBody`, which takes YAML too; zod-openapi's own validator would check JSON only. It leaves alone
 * what isn't a zod object, so it gets a reference, and the typed client its type.
 */
const policyBody = { $ref: '#/components/schemas/Policy' } as unknown as z.ZodType<PolicyInput, PolicyInput>;
const body = {
  description: 'A policy.',
  required: true as const,
  content: { 'application/json': { schema: policyBody }, 'application/yaml': { schema: policyBody } },
};

const nameParam = z.object({
  name: z
    .string()
    .max(253)
    .openapi({ param: { name: 'name', in: 'path' }, example: 'abort-checkout' }),
});
const dryRunQuery = z.strictObject({
  dryRun: z.enum(['true', 'false']).optional().describe('`true` checks everything and writes nothing.'),
});

const written = z
  .object({
    result: z.enum(['created', 'configured', 'unchanged']),
    policy: policyResource,
    warnings: z.array(z.string()).describe('What is allowed and yet seldom meant; in a dry run also why it selects no proxy.'),
    proxies: z
      .array(z.string())
      .describe(
        'The connected proxies that the policy selects: in a dry run those of all replicas, else those of the replica that answers.',
      ),
    dryRun: z.boolean().optional(),
    traffic: traffic.optional().describe('In a dry run: how many requests a second come by there, and would be hit.'),
  })
  .openapi('PolicyWritten');

const writtenContent = { 'application/json': { schema: written } };
const writeRefusals = refusals(
  'invalid',
  'malformed',
  'unauthenticated',
  'forbidden',
  'conflict',
  'precondition-failed',
  'guardrail',
  'halted',
  'too-large',
  'unsupported-media-type',
  'too-many-requests',
  'store-unavailable',
);

const removed = z.object({ result: z.literal('deleted'), name: z.string(), resourceVersion: z.string() }).openapi('PolicyDeleted');

/** Creating, replacing, reading, listing and deleting policies. */
export function policyRoutes(parts: Parts) {
  const { store, runtime, tokens } = parts;

  const create = createRoute({
    method: 'post',
    path: '/v1/policies',
    operationId: 'createPolicy',
    summary: 'Creates a policy; refused when it exists.',
    tags: TAG,
    security: SECURED,
    middleware: [writers(tokens)] as const,
    request: { query: dryRunQuery, body },
    responses: {
      200: { description: 'Would be created (`dryRun`).', content: writtenContent },
      201: { description: 'Created.', content: writtenContent },
      ...writeRefusals,
    },
  });

  const put = createRoute({
    method: 'put',
    path: '/v1/policies/{name}',
    operationId: 'putPolicy',
    summary: 'Creates or replaces a policy. The same spec again changes nothing, unless a rule has a duration: then its time begins anew.',
    tags: TAG,
    security: SECURED,
    middleware: [writers(tokens)] as const,
    request: { params: nameParam, query: dryRunQuery, body },
    responses: {
      200: { description: 'Replaced, unchanged, or would be (`dryRun`).', content: writtenContent },
      201: { description: 'Created.', content: writtenContent },
      ...writeRefusals,
    },
  });

  const get = createRoute({
    method: 'get',
    path: '/v1/policies/{name}',
    operationId: 'getPolicy',
    summary: 'Reads a policy.',
    tags: TAG,
    security: SECURED,
    middleware: [readers(tokens)] as const,
    request: { params: nameParam },
    responses: {
      200: { description: 'The policy; its ETag is the resource version.', content: { 'application/json': { schema: policyResource } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'not-found', 'too-many-requests', 'store-unavailable'),
    },
  });

  const list = createRoute({
    method: 'get',
    path: '/v1/policies',
    operationId: 'listPolicies',
    summary: 'Lists policies by name.',
    tags: TAG,
    security: SECURED,
    middleware: [readers(tokens)] as const,
    request: {
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(500).default(20).describe('How many at most.'),
        cursor: z.string().max(253).default('').describe('`nextCursor` of the page before.'),
      }),
    },
    responses: {
      200: {
        description: 'A page.',
        content: {
          'application/json': {
            schema: z.object({ items: z.array(policyResource), nextCursor: z.string().nullable() }).openapi('PolicyPage'),
          },
        },
      },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  const remove = createRoute({
    method: 'delete',
    path: '/v1/policies/{name}',
    operationId: 'deletePolicy',
    summary: 'Deletes a policy.',
    tags: TAG,
    security: SECURED,
    middleware: [writers(tokens)] as const,
    request: { params: nameParam },
    responses: {
      200: { description: 'Deleted.', content: { 'application/json': { schema: removed } } },
      ...changeRefusals,
    },
  });

  const write = async (c: Context<Env>, policy: Policy, intent: Intent, dryRun: boolean) => {
    const caller = c.get('actor');
    refuseOutside(caller, policy);
    const by = origin(c, runtime);
    // A change is answered without asking around, which would hold it up, unless guardrails need it; whom it reached is in the rollout.
    const selectable = dryRun || parts.guard.counts(policy) ? await selectableProxies(parts, c) : undefined;
    const { chosen, warnings } = guarded(parts, policy, by.time, selectable);
    refuseOverfull(parts, policy);
    const stops = await checkStops(parts, policy);
    const { result, stored } = await writePolicy(parts, policy, intent, caller, by, dryRun, chosen);
    const now = runtime.clock.now();
    const reach = dryRun && selectable ? reachOf(policy, selectable.items, chosen, parts.guard.rules.maxInjectionsPerSecond) : undefined;
    const { proxies, misses = [] } = reach ?? { proxies: [...(chosen ?? parts.fleet.selectedBy(policy.spec.selector))] };
    return {
      etag: etag(stored),
      body: {
        result,
        policy: asResource(stored, now, parts),
        warnings: [...warningsFor(policy), ...stops, ...warnings, ...misses],
        proxies,
        ...(reach === undefined ? {} : { dryRun: true, traffic: reach.traffic }),
      },
    };
  };

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery })
    .openapi(create, async (c) => {
      parts.writeLimit.take(c.get('actor').name);
      const policy = await readBody(c, policySchema);
      const dryRun = c.req.valid('query').dryRun === 'true';
      const { etag, body } = await write(c, policy, { kind: 'create', otherwise: 'conflict' }, dryRun);
      c.header('ETag', etag);
      return dryRun ? c.json(body, 200) : c.json(body, 201);
    })
    .openapi(put, async (c) => {
      parts.writeLimit.take(c.get('actor').name);
      const policy = await readBody(c, policySchema);
      const { name } = c.req.valid('param');
      if (policy.metadata.name !== name) {
        const message = `is not the name in the address, ${JSON.stringify(name)}`;
        throw new Problem('invalid', `metadata.name ${message}.`, { errors: [{ path: 'metadata.name', message, allowed: [name] }] });
      }
      const dryRun = c.req.valid('query').dryRun === 'true';
      const { etag, body } = await write(c, policy, onlyIf(c), dryRun);
      c.header('ETag', etag);
      return body.result === 'created' && !dryRun ? c.json(body, 201) : c.json(body, 200);
    })
    .openapi(get, async (c) => {
      const { name } = c.req.valid('param');
      const stored = await store.get(name);
      if (stored === undefined || !seesPolicy(c.get('actor'), stored.policy)) throw notThere(name);
      c.header('ETag', etag(stored));
      return c.json(asResource(stored, runtime.clock.now(), parts), 200);
    })
    .openapi(list, async (c) => {
      const { limit, cursor } = c.req.valid('query');
      const caller = c.get('actor');
      const page =
        caller.namespaces === undefined
          ? await store.list(limit, cursor)
          : await seenPage(
              {
                read: (most, after) => store.list(most, after),
                show: (stored) => (seesPolicy(caller, stored.policy) ? stored : undefined),
                key: (stored) => stored.policy.metadata.name,
              },
              limit,
              cursor,
            );
      const now = runtime.clock.now();
      return c.json({ items: page.items.map((stored) => asResource(stored, now, parts)), nextCursor: page.nextCursor }, 200);
    })
    .openapi(remove, async (c) => {
      parts.writeLimit.take(c.get('actor').name);
      const { name } = c.req.valid('param');
      const revision = await deletePolicy(parts, name, onlyIf(c), c.get('actor'), origin(c, runtime));
      return c.json({ result: 'deleted' as const, name, resourceVersion: String(revision) }, 200);
    });
}

/** @throws Problem `too-large` when a proxy of this replica would have to leave policies out */
function refuseOverfull(parts: Parts, policy: Policy): void {
  const overfull = parts.fleet.overfilledBy(policy);
  if (overfull === undefined) return;
  const sizes = `${overfull.bytes} bytes, and a filter takes ${MAX_RULESET_BYTES}`;
  throw new Problem(
    'too-large',
    `With this policy the ruleset of proxy ${JSON.stringify(overfull.proxy)} would have ${sizes}: select fewer proxies, write fewer rules or shorter bodies, or delete another policy.`,
  );
}

/** Asks the queries of `stopWhen` once. @returns warnings @throws Problem `invalid` */
async function checkStops({ stopConditions }: Parts, policy: Policy): Promise<readonly string[]> {
  const { errors, warnings } = await stopConditions.check(policy);
  const [first] = errors;
  if (first !== undefined) throw new Problem('invalid', `${first.path} ${first.message}.`, { errors });
  return warnings;
}

function etag(stored: StoredPolicy): string {
  return `"${stored.revision}"`;
}

function notThere(name: string): Problem {
  return new Problem('not-found', `There is no policy ${JSON.stringify(name)}.`);
}

/** What is allowed and yet seldom meant. */
function warningsFor({ spec }: Policy): string[] {
  const { selector } = spec;
  const any = [selector.namespace, selector.service, selector.workload].every((part) => part === undefined || part === '*');
  const warnings: string[] = [];
  if (any && Object.keys(selector.labels ?? {}).length === 0) warnings.push('The selector names every workload of the mesh.');
  spec.rules.forEach((rule, i) => {
    if (rule.fault.percentage === 0)
      warnings.push(`spec.rules[${i}].fault.percentage is 0: the rule never fires, and no later rule gets its requests.`);
  });
  return warnings;
}
