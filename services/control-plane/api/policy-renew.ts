import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { isOver, ownersLeaseMs } from '../../policy/lifecycle.ts';
import { seesPolicy } from '../access/scope.ts';
import type { StoredPolicy } from '../store/store.ts';
import { writers } from './auth.ts';
import type { Env } from './env.ts';
import { onlyIf } from './if-match.ts';
import type { Parts } from './parts.ts';
import { changeRefusals } from './policy-resource.ts';
import { refuseUnless } from './policy-write.ts';
import { Problem } from './problem.ts';
import { refuseBadQuery } from './query.ts';

/** A policy changes seldom, and each try begins with what the failed one found. */
const TRIES = 5;

/** Keeps a policy going that has an owner's lease. */
export function renewRoutes(parts: Parts) {
  const route = createRoute({
    method: 'post',
    path: '/v1/policies/{name}/renew',
    operationId: 'renewPolicy',
    summary: "Renews the owner's lease of a policy (`spec.lease`): from now on it runs for the whole of it again. Not audited.",
    tags: ['policies'],
    security: [{ bearer: [] }],
    middleware: [writers(parts.tokens)] as const,
    request: { params: z.object({ name: z.string().max(253) }) },
    responses: {
      200: {
        description: 'Renewed.',
        content: {
          'application/json': {
            schema: z
              .object({
                name: z.string(),
                resourceVersion: z.string(),
                until: z.iso.datetime().describe('When it ends unless it is renewed.'),
              })
              .openapi('PolicyRenewed'),
          },
        },
      },
      ...changeRefusals,
    },
  });

  return new OpenAPIHono<Env>({ defaultHook: refuseBadQuery }).openapi(route, async (c) => {
    parts.writeLimit.take(c.get('actor').name);
    const { name } = c.req.valid('param');
    const intent = onlyIf(c);
    let base = await parts.store.get(name);
    for (let left = TRIES; left > 0; left--) {
      if (base === undefined || !seesPolicy(c.get('actor'), base.policy))
        throw new Problem('not-found', `There is no policy ${JSON.stringify(name)}.`);
      refuseUnless(intent, name, base);
      const now = parts.runtime.clock.now();
      const until = now + leaseOf(base, now);
      const outcome = await parts.store.renew(base, until);
      if (outcome.done) return c.json({ name, resourceVersion: String(base.revision), until: new Date(until).toISOString() }, 200);
      base = outcome.current;
    }
    throw new Problem('conflict', `Others change ${JSON.stringify(name)} all the time; try again.`);
  });
}

/** @throws Problem `conflict` when there is nothing to renew */
function leaseOf(stored: StoredPolicy, now: number): number {
  const name = JSON.stringify(stored.policy.metadata.name);
  const lease = ownersLeaseMs(stored.policy);
  if (lease === undefined) throw new Problem('conflict', `The policy ${name} has no lease (spec.lease): there is nothing to renew.`);
  if (isOver(stored, now)) throw new Problem('conflict', `The policy ${name} has ended: apply it again.`);
  return lease;
}
