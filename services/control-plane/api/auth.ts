import type { Context, MiddlewareHandler } from 'hono';
import { HEADER_PROXY } from '../../../filter/assembly/protocol.ts';
import type { Caller, Role } from '../access/caller.ts';
import { isFromSidecar, workloadOf } from '../access/certificate.ts';
import { inWords, seesNamespace } from '../access/scope.ts';
import type { Budget, Tokens, Trust } from '../access/tokens.ts';
import type { Env } from './env.ts';
import { Problem } from './problem.ts';

const READERS: readonly Role[] = ['admin', 'editor', 'viewer'];
const WRITERS: readonly Role[] = ['admin', 'editor'];
const PROXIES: readonly Role[] = ['admin', 'proxy'];
const ADMINS: readonly Role[] = ['admin'];

/** Longer ones the route refuses. */
const LONGEST_PROXY_NAME = 1024;

type Guard = (tokens: Tokens) => MiddlewareHandler<Env>;

/**
 * Lets pass who has one of the roles, and notes who it is.
 *
 * @param budget what the request is taken from; changes are counted where they are done
 * @param trust how old the copy of the issued tokens may be
 */
export function only(roles: readonly Role[], budget: Budget | undefined, trust: Trust = 'current'): Guard {
  return (tokens) => async (c, next) => {
    const caller = await identified(c, tokens, trust);
    if (!roles.includes(caller.role)) {
      throw new Problem('forbidden', `The role ${caller.role} may not do this; it needs ${roles.join(' or ')}.`);
    }
    if (budget !== undefined) tokens.spend(budget, spender(c, caller, budget));
    c.set('actor', caller);
    await next();
  };
}

export const readers = only(READERS, 'reads');
export const writers = only(WRITERS, undefined);
export const admins = only(ADMINS, undefined);

/** Proxies that poll. In the mesh, one is of the namespace that its certificate says, whatever more its token may. */
export const proxies = fromProxies('polls');
/** Proxies that report. What they report takes nothing from their polls: who floods with it must hear of the end of a fault all the same. */
export const reporters = fromProxies('reports');

function fromProxies(budget: Budget): Guard {
  const proxyTokens = only(PROXIES, budget, 'served');
  return (tokens) => {
    const guard = proxyTokens(tokens);
    return (c, next) =>
      guard(c, async () => {
        if (tokens.inMesh) c.set('actor', narrowed(c.get('actor'), certifiedNamespace(c)));
        await next();
      });
  };
}

function narrowed(caller: Caller, namespace: string): Caller {
  if (seesNamespace(caller, namespace)) return { ...caller, namespaces: [namespace] };
  throw new Problem('forbidden', `The token is for ${inWords(caller)}, and the certificate is of namespace ${JSON.stringify(namespace)}.`);
}

/** @throws Problem `forbidden` when the request didn't come through the own sidecar, or from no workload of the mesh */
function certifiedNamespace(c: Context<Env>): string {
  const sidecar = isFromSidecar(c.env?.incoming?.socket.remoteAddress);
  const workload = sidecar ? workloadOf(c.req.header('x-forwarded-client-cert') ?? '') : undefined;
  if (workload === undefined) throw new Problem('forbidden', 'A proxy must come through the mesh, with the certificate of its workload.');
  return workload.namespace;
}

/** Administrators of everything: who has a scope can't give others what it hasn't itself, nor take it away. */
export const unscopedAdmins = ofEveryNamespace(only(ADMINS, 'reads'), 'an admin');
/** Who may read everything: for what can't be shown in parts. */
export const unscopedReaders = ofEveryNamespace(readers, 'a token');

function ofEveryNamespace(allowed: Guard, who: string): Guard {
  return (tokens) => {
    const guard = allowed(tokens);
    return (c, next) =>
      guard(c, async () => {
        const caller = c.get('actor');
        if (caller.namespaces !== undefined) {
          throw new Problem('forbidden', `This needs ${who} of every namespace; the token is for ${inWords(caller)}.`);
        }
        await next();
      });
  };
}

/** Many proxies share a token, and one that floods must not stop the others. */
function spender(c: Context<Env>, { name }: Caller, budget: Budget): string {
  return budget === 'reads' ? name : `${name} ${(c.req.header(HEADER_PROXY) ?? '').slice(0, LONGEST_PROXY_NAME)}`;
}

/**
 * Whose token a request carries. What was presented is never repeated. An unknown token, a revoked one and one that is wrong by a character
 * are not told apart; an expired one is, for whoever sends it has it.
 *
 * @throws Problem `unauthenticated`, `forbidden`; StoreUnavailable, ReviewUnavailable
 */
export async function identified(c: Context<Env>, tokens: Tokens, trust: Trust): Promise<Caller> {
  const header = c.req.header('authorization');
  if (header === undefined) throw new Problem('unauthenticated', 'This needs a bearer token in the header Authorization.');
  const presented = /^Bearer +([\x21-\x7e]+) *$/i.exec(header)?.[1];
  if (presented === undefined) throw new Problem('unauthenticated', 'The header Authorization is not `Bearer <token>`.');
  const found = await tokens.find(presented, trust);
  if (found.kind === 'known') return found.caller;
  if (found.kind === 'without-role') throw new Problem('forbidden', `The Kubernetes user ${JSON.stringify(found.name)} has no role here.`);
  throw new Problem(
    'unauthenticated',
    found.kind === 'expired'
      ? `The token ${JSON.stringify(found.name)} ended at ${new Date(found.at).toISOString()}.`
      : 'The token is not known here.',
  );
}
