import { randomUUID } from 'node:crypto';
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { DNS_LABEL } from '../../policy/schema.ts';
import type { Scope } from '../access/caller.ts';
import { inWords, mayHalt, seesHalt } from '../access/scope.ts';
import { admins, halters, readers } from './auth.ts';
import { check, readBody } from './body.ts';
import type { Env } from './env.ts';
import { asResource, haltResource } from './halt-resource.ts';
import { origin } from './origin.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import { scopeParam } from './proxies.ts';
import { refuseBadQuery } from './query.ts';

const TAG = ['halt'];
const SECURED = [{ bearer: [] }];

const namespace = z.string().regex(DNS_LABEL, 'must be the name of a namespace: a DNS label');

/** What is to be halted. */
export const halting = z
  .strictObject({
    reason: z.string().max(1000).default('').describe('Why, for whoever finds it halted.'),
    namespace: namespace.optional().describe('Halts the proxies of this namespace alone; missing = everything.'),
    id: z
      .string()
      .regex(/^[0-9a-z-]{1,64}$/, 'must be an id')
      .optional()
      .describe('Which halt it is, where a replica tells another of one; else made here.'),
  })
  .openapi('Halting');

const halted = z
  .object({
    result: z.enum(['halted', 'unchanged']).describe('`unchanged`: it was halted already, and that halt stays.'),
    halt: haltResource,
    resourceVersion: z.string().nullable().describe("etcd's revision at which it is kept; null while it is not."),
    incomplete: z.array(z.string()).describe('When it is not kept: the replicas that could not be told.'),
  })
  .openapi('Halted');

const halts = z
  .object({
    halted: z.boolean().describe('Everything is halted.'),
    halts: z.array(haltResource).describe('All that is halted.'),
  })
  .openapi('Halts');

const resumed = z
  .object({
    result: z.enum(['resumed', 'unchanged']).describe('`unchanged`: it was not halted.'),
    // Not `nullable()`, of which the document would say that it is both.
    halt: z.union([haltResource, z.null()]).describe('What was lifted.'),
    resourceVersion: z.string(),
    halts: z.array(haltResource).describe('What is halted still.'),
  })
  .openapi('Resumed');

const body = { $ref: '#/components/schemas/Halting' } as unknown as z.ZodType<z.input<typeof halting>, z.input<typeof halting>>;

/** Stopping all injection, and letting it go on. */
export function haltRoutes(parts: Parts) {
  const halt = createRoute({
    method: 'post',
    path: '/v1/halt',
    operationId: 'halt',
    summary: 'Stops all injection at once, of everything or of a namespace, and refuses policies until it is resumed. Works without etcd.',
    tags: TAG,
    security: SECURED,
    middleware: [halters(parts.tokens)] as const,
    request: { query: z.strictObject({ scope: scopeParam }), body: { required: false, content: { 'application/json': { schema: body } } } },
    responses: {
      200: { description: 'Halted, and kept.', content: { 'application/json': { schema: halted } } },
      202: {
        description: 'Halted at the replicas that could be told; etcd does not answer, and is tried until it has taken it.',
        content: { 'application/json': { schema: halted } },
      },
      ...refusals('invalid', 'malformed', 'unauthenticated', 'forbidden', 'too-large', 'unsupported-media-type'),
    },
  });

  const get = createRoute({
    method: 'get',
    path: '/v1/halt',
    operationId: 'getHalts',
    summary: 'What is halted, by whom and since when.',
    tags: TAG,
    security: SECURED,
    middleware: [readers(parts.tokens)] as const,
    responses: {
      200: { description: 'All halts.', content: { 'application/json': { schema: halts } } },
      ...refusals('unauthenticated', 'forbidden', 'too-many-requests'),
    },
  });

  const resume = createRoute({
    method: 'delete',
    path: '/v1/halt',
    operationId: 'resume',
    summary: 'Lifts the halt of everything, or of a namespace: the policies in force inject again.',
    tags: TAG,
    security: SECURED,
    middleware: [admins(parts.tokens)] as const,
    request: { query: z.strictObject({ namespace: namespace.optional().describe('Lifts the halt of this namespace.') }) },
    responses: {
      200: { description: 'It goes on.', content: { 'application/json': { schema: resumed } } },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery })
    .openapi(halt, async (c) => {
      const asked = await readHalting(c);
      const { actor: by, address, time } = origin(c, parts.runtime);
      refuseForeign(c.get('actor'), asked.namespace ?? null);
      const wanted = { id: asked.id ?? randomUUID(), namespace: asked.namespace ?? null, by, address, time, reason: asked.reason };
      if (c.req.valid('query').scope === 'local') {
        parts.halts.hold(wanted);
        parts.log.warn(wanted, 'halted, told by another replica');
        return c.json(shown(wanted.id, wanted, undefined, []), 202);
      }
      // Also when etcd takes it: another replica may be cut off from etcd.
      // Of one that is in force already they are told as of that one, which can't come back when it is lifted meanwhile.
      const { id, reason } = parts.halts.exactly(wanted.namespace) ?? wanted;
      const told = parts.peers.tell('/v1/halt?scope=local', { ...asked, id, reason }, c.req.header('authorization') ?? '');
      const result = await parts.halts.halt(wanted);
      parts.log.warn({ ...wanted, kept: result.revision !== undefined }, 'halted');
      if (result.revision !== undefined) return c.json(shown(wanted.id, result.halt, result.revision, []), 200);
      return c.json(shown(wanted.id, result.halt, undefined, await told), 202);
    })
    .openapi(get, (c) => {
      const items = parts.halts
        .inForce()
        .filter(({ halt }) => seesHalt(c.get('actor'), halt))
        .map(asResource);
      return c.json({ halted: items.some((one) => one.namespace === null), halts: items }, 200);
    })
    .openapi(resume, async (c) => {
      parts.writeLimit.take(c.get('actor').name);
      const what = c.req.valid('query').namespace ?? null;
      refuseForeign(c.get('actor'), what);
      await parts.halts.settle(what);
      const by = origin(c, parts.runtime);
      const { halt: lifted, revision } = await parts.haltStore.lift(what, by);
      if (lifted !== undefined) parts.log.warn({ namespace: what, actor: by.actor.name }, 'resumed');
      return c.json(
        {
          result: lifted === undefined ? ('unchanged' as const) : ('resumed' as const),
          halt: lifted === undefined ? null : asResource({ halt: lifted, kept: true }),
          resourceVersion: String(revision),
          halts: parts.halts
            .inForce()
            .filter(({ halt: one }) => one.namespace !== what && seesHalt(c.get('actor'), one))
            .map(asResource),
        },
        200,
      );
    });
}

/** @throws Problem `forbidden` when the token is not for what is to be halted or resumed */
function refuseForeign(scope: Scope, namespace: string | null): void {
  if (mayHalt(scope, namespace)) return;
  const what = namespace === null ? 'everything' : `namespace ${namespace}`;
  throw new Problem('forbidden', `The token is for ${inWords(scope)}, not for ${what}.`);
}

/** A halt must be possible with the barest of requests: no body at all is everything, without a reason. */
async function readHalting(c: Context<Env>): Promise<z.output<typeof halting>> {
  const bare = c.req.header('content-type') === undefined && Number(c.req.header('content-length') ?? 0) === 0;
  return bare ? check(halting, {}) : readBody(c, halting);
}

type HaltedBody = z.output<typeof halted>;

function shown(id: string, halt: Parameters<typeof asResource>[0]['halt'], revision: number | undefined, incomplete: string[]): HaltedBody {
  return {
    result: halt.id === id ? 'halted' : 'unchanged',
    halt: asResource({ halt, kept: revision !== undefined }),
    resourceVersion: revision === undefined ? null : String(revision),
    incomplete,
  };
}
