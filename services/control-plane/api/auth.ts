import type { MiddlewareHandler } from 'hono';
import type { Caller, Role } from '../access/caller.ts';
import { inWords } from '../access/scope.ts';
import type { Budget, Tokens, Trust } from '../access/tokens.ts';
import { type Asking, askingOf } from './asking.ts';
import type { Env } from './env.ts';
import { admitted, admittedProxy } from './identify.ts';
import { Problem } from './problem.ts';

const READERS: readonly Role[] = ['admin', 'editor', 'viewer'];
const WRITERS: readonly Role[] = ['admin', 'editor'];
const ADMINS: readonly Role[] = ['admin'];

type Guard = (tokens: Tokens) => MiddlewareHandler<Env>;

/** Lets pass whom `admission` doesn't throw out, and notes who it is. */
function guarded(admission: (asking: Asking, tokens: Tokens) => Promise<Caller>): Guard {
  return (tokens) => async (c, next) => {
    c.set('actor', await admission(askingOf(c), tokens));
    await next();
  };
}

/** Lets pass who has one of the roles. */
export function only(roles: readonly Role[], budget: Budget | undefined, trust: Trust = 'current'): Guard {
  return guarded((asking, tokens) => admitted(asking, tokens, { roles, budget, trust }));
}

export const readers = only(READERS, 'reads');
export const writers = only(WRITERS, undefined);
/** Who may halt. A token that was taken back a moment ago, where etcd can't say so, does no harm with it. */
export const halters = only(WRITERS, undefined, 'remembered');
/** Who may see how far a halt is. */
export const onlookers = only(READERS, 'reads', 'remembered');
export const admins = only(ADMINS, undefined);

/** Proxies that poll. */
export const proxies = guarded((asking, tokens) => admittedProxy(asking, tokens, 'polls'));
/** Proxies that report. What they report takes nothing from their polls: who floods with it must hear of the end of a fault all the same. */
export const reporters = guarded((asking, tokens) => admittedProxy(asking, tokens, 'reports'));

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
