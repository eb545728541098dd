import type { Actor } from '../store/store.ts';
import type { Role } from './auth.ts';

/** What Hono's context carries. */
export interface Env {
  Variables: { actor: Actor & { role: Role } };
  Bindings: { incoming?: { socket: { remoteAddress?: string } } };
}
