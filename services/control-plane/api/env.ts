import type { Caller } from '../access/caller.ts';

/** What Hono's context carries. */
export interface Env {
  Variables: { actor: Caller };
  Bindings: { incoming?: { socket: { remoteAddress?: string } } };
}
