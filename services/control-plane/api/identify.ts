import { HEADER_PROXY } from '../../../filter/assembly/protocol.ts';
import type { Caller, Role } from '../access/caller.ts';
import { isFromSidecar, workloadOf } from '../access/certificate.ts';
import { inWords, seesNamespace } from '../access/scope.ts';
import type { Budget, Tokens, Trust } from '../access/tokens.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Asking } from './asking.ts';
import { Problem } from './problem.ts';

/** Longer ones are refused. */
export const LONGEST_PROXY_NAME = 1024;

export interface Admission {
  readonly roles: readonly Role[];
  /** What the request is taken from; changes are counted where they are done. */
  readonly budget: Budget | undefined;
  /** How old the copy of the issued tokens may be. */
  readonly trust: Trust;
}

/**
 * Who asks, if one of the roles allows it.
 *
 * @throws Problem `unauthenticated`, `forbidden`, `too-many-requests`; StoreUnavailable, ReviewUnavailable
 */
export async function admitted(asking: Asking, tokens: Tokens, { roles, budget, trust }: Admission): Promise<Caller> {
  const caller = await identified(asking, tokens, trust);
  if (!roles.includes(caller.role)) {
    throw new Problem('forbidden', `The role ${caller.role} may not do this; it needs ${roles.join(' or ')}.`);
  }
  if (budget !== undefined) tokens.spend(budget, spender(asking, caller, budget));
  return caller;
}

const PROXIES: readonly Role[] = ['admin', 'proxy'];

/**
 * As what a proxy is admitted. In the mesh it is of the namespace that its certificate says, whatever more its token may.
 *
 * @throws Problem `unauthenticated`, `forbidden`, `too-many-requests`; StoreUnavailable, ReviewUnavailable
 */
export async function admittedProxy(asking: Asking, tokens: Tokens, budget: Budget): Promise<Caller> {
  const caller = await admitted(asking, tokens, { roles: PROXIES, budget, trust: 'served' });
  return tokens.inMesh ? narrowed(caller, certifiedNamespace(asking)) : caller;
}

function narrowed(caller: Caller, namespace: string): Caller {
  if (seesNamespace(caller, namespace)) return { ...caller, namespaces: [namespace] };
  throw new Problem('forbidden', `The token is for ${inWords(caller)}, and the certificate is of namespace ${JSON.stringify(namespace)}.`);
}

/** @throws Problem `forbidden` when the request didn't come through the own sidecar, or from no workload of the mesh */
function certifiedNamespace(asking: Asking): string {
  const workload = isFromSidecar(asking.remoteAddress) ? workloadOf(asking.header('x-forwarded-client-cert') ?? '') : undefined;
  if (workload === undefined) throw new Problem('forbidden', 'A proxy must come through the mesh, with the certificate of its workload.');
  return workload.namespace;
}

/** Many proxies share a token, and one that floods must not stop the others. */
function spender(asking: Asking, { name }: Caller, budget: Budget): string {
  return budget === 'reads' ? name : `${name} ${(asking.header(HEADER_PROXY) ?? '').slice(0, LONGEST_PROXY_NAME)}`;
}

/**
 * Whose token a request carries. What was presented is never repeated. An unknown token, a revoked one and one that is wrong by a character
 * are not told apart; an expired one is, for whoever sends it has it.
 *
 * @throws Problem `unauthenticated`, `forbidden`, `store-unavailable`; ReviewUnavailable
 */
export async function identified(asking: Asking, tokens: Tokens, trust: Trust): Promise<Caller> {
  asking.proof ??= tokens.proofOf(presentedIn(asking));
  const found = await tokens.find(asking.proof, trust).catch((error: unknown) => {
    if (!(error instanceof StoreUnavailable)) throw error;
    // Before anything was begun.
    throw new Problem('store-unavailable', `Your token can not be checked: ${error.message}. Nothing was done.`, {
      retryAfter: 1,
      cause: error,
    });
  });
  if (found.kind === 'known') return found.caller;
  if (found.kind === 'without-role') throw new Problem('forbidden', `The Kubernetes user ${JSON.stringify(found.name)} has no role here.`);
  throw new Problem(
    'unauthenticated',
    found.kind === 'expired'
      ? `The token ${JSON.stringify(found.name)} ended at ${new Date(found.at).toISOString()}.`
      : 'The token is not known here.',
  );
}

function presentedIn(asking: Asking): string {
  const header = asking.header('authorization');
  if (header === undefined) throw new Problem('unauthenticated', 'This needs a bearer token in the header Authorization.');
  const presented = /^Bearer +([\x21-\x7e]+) *$/i.exec(header)?.[1];
  if (presented === undefined) throw new Problem('unauthenticated', 'The header Authorization is not `Bearer <token>`.');
  return presented;
}
