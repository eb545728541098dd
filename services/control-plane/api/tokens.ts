import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { ROLES } from '../access/caller.ts';
import { LIFE_SECONDS, type StoredToken } from '../access/issued.ts';
import { digestOf, issuedToken } from '../access/secret.ts';
import { unscopedAdmins } from './auth.ts';
import { readBody } from './body.ts';
import type { Env } from './env.ts';
import { origin } from './origin.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import { refuseBadQuery } from './query.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const label = z.string().regex(DNS_LABEL, 'must be a DNS label: at most 63 lower-case letters, digits and `-`');

/** So many issued tokens every replica keeps in memory, at most. */
const MOST_TOKENS = 10_000;

const tokenRequest = z
  .strictObject({
    name: label.describe("The token's name: a DNS label, unique. The audit shows it as the one who did something."),
    role: z.enum(ROLES).describe('What it may do.'),
    namespaces: z.array(label).min(1).max(64).optional().describe('The only namespaces that it is for. Missing: every namespace.'),
    expiresInSeconds: z
      .int()
      .min(LIFE_SECONDS.least)
      .max(LIFE_SECONDS.most)
      .default(LIFE_SECONDS.usual)
      .describe('How long it is good, in seconds.'),
  })
  .openapi('TokenRequest');

const tokenResource = z
  .object({
    name: z.string(),
    role: z.enum(ROLES),
    namespaces: z.array(z.string()).nullable().describe('The only namespaces that it is for; null = every namespace.'),
    createdAt: z.iso.datetime(),
    createdBy: z.string(),
    expiresAt: z.iso.datetime(),
    expired: z.boolean(),
  })
  .openapi('Token');

const created = tokenResource.extend({ token: z.string().describe('The token itself, said this once.') }).openapi('TokenCreated');
const revoked = z.object({ result: z.literal('revoked'), name: z.string() }).openapi('TokenRevoked');

const TAG = ['tokens'];
const SECURED = [{ bearer: [] }];
const json = <S extends z.ZodType>(schema: S) => ({ 'application/json': { schema } });

/** The issued tokens. A token is said once, when it is made; afterwards nobody can read it, the control plane neither. */
export function tokenRoutes(parts: Parts) {
  const guard = unscopedAdmins(parts.tokens);

  const create = createRoute({
    method: 'post',
    path: '/v1/tokens',
    operationId: 'createToken',
    summary: 'Makes a token and says it, once. For admins of every namespace.',
    tags: TAG,
    security: SECURED,
    middleware: [guard] as const,
    request: {
      body: {
        required: true,
        // `readBody` reads it, as it reads policies.
        content: json({ $ref: '#/components/schemas/TokenRequest' } as unknown as z.ZodType<z.input<typeof tokenRequest>>),
      },
    },
    responses: {
      201: { description: 'Made.', content: json(created) },
      ...refusals(
        'invalid',
        'malformed',
        'unauthenticated',
        'forbidden',
        'conflict',
        'too-large',
        'unsupported-media-type',
        'too-many-requests',
        'store-unavailable',
      ),
    },
  });

  const list = createRoute({
    method: 'get',
    path: '/v1/tokens',
    operationId: 'listTokens',
    summary: 'Lists the issued tokens by name, without what they are. For admins of every namespace.',
    tags: TAG,
    security: SECURED,
    middleware: [guard] as const,
    responses: {
      200: { description: 'All of them.', content: json(z.object({ items: z.array(tokenResource) }).openapi('TokenList')) },
      ...refusals('unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  const revoke = createRoute({
    method: 'delete',
    path: '/v1/tokens/{name}',
    operationId: 'revokeToken',
    summary: 'Ends a token for good. Every replica that hears etcd refuses it within a second. For admins of every namespace.',
    tags: TAG,
    security: SECURED,
    middleware: [guard] as const,
    request: {
      params: z.object({
        name: z
          .string()
          .max(253)
          .openapi({ param: { name: 'name', in: 'path' }, example: 'ci' }),
      }),
    },
    responses: {
      200: { description: 'Ended.', content: json(revoked) },
      ...refusals('invalid', 'unauthenticated', 'forbidden', 'not-found', 'too-many-requests', 'store-unavailable'),
    },
  });

  const { store, runtime, tokens } = parts;
  const app = new OpenAPIHono<Env>({ defaultHook: refuseBadQuery });
  app.openAPIRegistry.register('TokenRequest', tokenRequest);
  return app
    .openapi(create, async (c) => {
      parts.writeLimit.take(c.get('actor').name);
      const { name, role, namespaces, expiresInSeconds } = await readBody(c, tokenRequest);
      if (tokens.inFile(name)) throw new Problem('conflict', `The tokens file of the control plane has a token ${JSON.stringify(name)}.`);
      const kept = await store.tokens.list();
      if (kept.length >= MOST_TOKENS) throw new Problem('conflict', `There are ${MOST_TOKENS} tokens already: revoke some first.`);
      const by = origin(c, runtime);
      const token = issuedToken(name, parts.randomBytes());
      const value = {
        role,
        ...(namespaces === undefined ? {} : { namespaces: [...new Set(namespaces)].sort() }),
        digest: digestOf(token).toString('hex'),
        createdAt: by.time,
        createdBy: by.actor.name,
        expiresAt: by.time + expiresInSeconds * 1000,
      };
      if (!(await store.tokens.create(name, value, by))) {
        throw new Problem('conflict', `There is a token ${JSON.stringify(name)} already: revoke it first, or take another name.`);
      }
      c.header('cache-control', 'no-store');
      return c.json({ ...asResource({ name, ...value }, by.time), token }, 201);
    })
    .openapi(list, async (c) => {
      const now = runtime.clock.now();
      const items = (await store.tokens.list()).map((stored) => asResource(stored, now));
      return c.json({ items }, 200);
    })
    .openapi(revoke, async (c) => {
      parts.writeLimit.take(c.get('actor').name);
      const { name } = c.req.valid('param');
      const stored = await store.tokens.get(name);
      // Nobody changes a token, so what isn't at the revision that was read is gone.
      if (stored === undefined || !(await store.tokens.remove(stored, origin(c, runtime)))) {
        throw new Problem('not-found', `There is no issued token ${JSON.stringify(name)}.`);
      }
      return c.json({ result: 'revoked' as const, name }, 200);
    });
}

function asResource(stored: Omit<StoredToken, 'revision' | 'lease'>, now: number): z.output<typeof tokenResource> {
  const { name, role, namespaces, createdAt, createdBy, expiresAt } = stored;
  return {
    name,
    role,
    namespaces: namespaces === undefined ? null : [...namespaces],
    createdAt: new Date(createdAt).toISOString(),
    createdBy,
    expiresAt: new Date(expiresAt).toISOString(),
    expired: expiresAt <= now,
  };
}
