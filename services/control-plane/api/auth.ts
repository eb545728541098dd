import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { Actor } from '../store/store.ts';
import type { Env } from './env.ts';
import { Problem } from './problem.ts';

export const ROLES = ['admin', 'editor', 'viewer', 'proxy'] as const;
export type Role = (typeof ROLES)[number];

export interface Token {
  readonly name: string;
  readonly role: Role;
  readonly token: string;
}

/** Finds whose token a request carries. */
export class Tokens {
  readonly #known: readonly { readonly actor: Actor & { role: Role }; readonly digest: Buffer }[];

  constructor(tokens: readonly Token[]) {
    this.#known = tokens.map(({ name, role, token }) => ({ actor: { name, role }, digest: digestOf(token) }));
  }

  /** Compares with all tokens, always, in a time that tells nothing of them. */
  find(presented: string): (Actor & { role: Role }) | undefined {
    const digest = digestOf(presented);
    let found: (Actor & { role: Role }) | undefined;
    for (const { actor, digest: known } of this.#known) {
      if (timingSafeEqual(digest, known)) found = actor;
    }
    return found;
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

const READERS: readonly Role[] = ['admin', 'editor', 'viewer'];
const WRITERS: readonly Role[] = ['admin', 'editor'];
const ADMINS: readonly Role[] = ['admin'];
const PROXIES: readonly Role[] = ['admin', 'proxy'];

/** Lets pass who has one of the roles, and notes who it is. What was presented is never repeated. */
function only(roles: readonly Role[]): (tokens: Tokens) => MiddlewareHandler<Env> {
  return (tokens) => async (c, next) => {
    const header = c.req.header('authorization');
    if (header === undefined) throw new Problem('unauthenticated', 'This needs a bearer token in the header Authorization.');
    const presented = /^Bearer +([\x21-\x7e]+) *$/i.exec(header)?.[1];
    if (presented === undefined) throw new Problem('unauthenticated', 'The header Authorization is not `Bearer <token>`.');
    const actor = tokens.find(presented);
    if (actor === undefined) throw new Problem('unauthenticated', 'The token is not known here.');
    if (!roles.includes(actor.role)) {
      throw new Problem('forbidden', `The role ${actor.role} may not do this; it needs ${roles.join(' or ')}.`);
    }
    c.set('actor', actor);
    await next();
  };
}

export const readers = only(READERS);
export const writers = only(WRITERS);
export const admins = only(ADMINS);
export const proxies = only(PROXIES);
