import type { PolicyInput } from '../../services/policy/schema.ts';
import type { Reply } from '../support/control-plane.ts';
import type { Pair } from './pair.ts';

/** What a writer was told: `done` with its revision where the answer says one, `refused` when nothing was to be done, `unknown` without an answer. */
export interface Write {
  /** What the audit calls it, and of what. */
  readonly action: 'apply' | 'delete' | 'create-token' | 'revoke-token' | 'halt' | 'resume';
  readonly of: string;
  /** What tells it from all others of its kind. */
  readonly mark: number;
  readonly outcome: 'done' | 'refused' | 'unknown';
  readonly revision: number | undefined;
}

const RULES = [{ fault: { abort: { httpStatus: 503 } } }];

/** What a writer's policies are like; the priority tells its writes apart. */
export function specOf(mark: number): PolicyInput['spec'] {
  return { selector: { namespace: 'written' }, priority: mark, rules: RULES };
}

/** Writers at both replicas that never rest, each of its own policies, tokens and halt. */
export class Writers {
  readonly writes: Write[] = [];
  readonly #pair: Pair;
  readonly #running: Promise<void>[];
  #marks = 0;
  #underWay = 0;
  #stopped = false;

  constructor(pair: Pair, count: number) {
    this.#pair = pair;
    this.#running = Array.from({ length: count }, (_, writer) => this.#run(writer));
  }

  /** Writes without an answer yet. */
  get underWay(): number {
    return this.#underWay;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(writer: number): Promise<void> {
    const token = { name: '' };
    while (!this.#stopped) {
      const mark = ++this.#marks;
      const name = `policy-${writer}-${Math.floor(Math.random() * 3)}`;
      const halt = `halted-${writer}`;
      const draw = Math.random();
      if (draw < 0.6) {
        await this.#ask({ action: 'apply', of: name, mark }, 'PUT', `/v1/policies/${name}`, { metadata: { name }, spec: specOf(mark) });
      } else if (draw < 0.8) await this.#ask({ action: 'delete', of: name, mark }, 'DELETE', `/v1/policies/${name}`);
      else if (draw < 0.85) {
        token.name = `token-${writer}-${mark}`;
        await this.#ask({ action: 'create-token', of: token.name, mark }, 'POST', '/v1/tokens', { name: token.name, role: 'viewer' });
      } else if (draw < 0.9) {
        if (token.name !== '') await this.#ask({ action: 'revoke-token', of: token.name, mark }, 'DELETE', `/v1/tokens/${token.name}`);
      } else if (draw < 0.95) {
        await this.#ask({ action: 'halt', of: halt, mark }, 'POST', '/v1/halt', { namespace: halt, reason: String(mark) });
      } else await this.#ask({ action: 'resume', of: halt, mark }, 'DELETE', `/v1/halt?namespace=${halt}`);
    }
  }

  async #ask(write: Pick<Write, 'action' | 'of' | 'mark'>, method: string, path: string, body?: unknown): Promise<void> {
    this.#underWay++;
    // A replica that is not there refuses the connection at once: nothing was asked of anybody.
    const reply = await this.#pair
      .any()
      .ask(method, path, body === undefined ? {} : { body })
      .catch((error: Error) => error);
    this.#underWay--;
    if (reply instanceof Error) {
      const { code } = (reply.cause ?? {}) as { code?: string };
      if (code !== 'ECONNREFUSED') this.writes.push({ ...write, outcome: 'unknown', revision: undefined });
      return;
    }
    this.writes.push({ ...write, ...outcome(write.action, reply) });
  }
}

function outcome(action: Write['action'], { status, body, text, headers }: Reply): Pick<Write, 'outcome' | 'revision'> {
  const nothing = { outcome: 'refused', revision: undefined } as const;
  if (status === 503 || status === 202) return { outcome: 'unknown', revision: undefined };
  if (action === 'delete' || action === 'revoke-token') {
    if (status === 404) return nothing;
  }
  if (status >= 300) throw new Error(`${action}: ${status} ${text}`);
  if (body.result === 'unchanged') return nothing;
  const revision = action === 'apply' ? headers.get('etag')?.replaceAll('"', '') : body.resourceVersion;
  return { outcome: 'done', revision: revision === undefined ? undefined : Number(revision) };
}
