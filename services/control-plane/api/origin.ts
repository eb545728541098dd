import type { Context } from 'hono';
import type { Runtime } from '../runtime.ts';
import type { Origin } from '../store/store.ts';
import type { Env } from './env.ts';

/** Who sends this request, from where, when: for the audit. */
export function origin(c: Context<Env>, runtime: Runtime): Origin {
  const { name, role } = c.get('actor');
  return { actor: { name, role }, address: c.env?.incoming?.socket.remoteAddress ?? '', time: runtime.clock.now() };
}
