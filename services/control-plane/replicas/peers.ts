import type { z } from '@hono/zod-openapi';
import type { Timers } from '../runtime.ts';

/** What the other replicas say, and the names of those that couldn't be asked. */
export interface Asked<T> {
  readonly answers: readonly T[];
  readonly incomplete: readonly string[];
}

export interface PeersOptions {
  /** This replica's own name, which is not asked. */
  readonly self: string;
  /** The replicas known now, by name, with their URLs. */
  readonly replicas: () => ReadonlyMap<string, string>;
  readonly timers: Timers;
  readonly fetch: typeof fetch;
}

/** Time for a peer to answer what it knows at once, in milliseconds. */
export const PEER_ANSWER_MS = 1500;

/** The other replicas of this control plane. Each is asked with the caller's own token, so nobody sees more through a detour. */
export class Peers {
  readonly #options: PeersOptions;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /**
   * Asks all others at once.
   *
   * @param path path and query; must say `scope=local`, or they would ask us in turn
   * @param waitMs how long they may hold the answer, besides the time that an answer takes
   */
  async ask<S extends z.ZodType>(
    path: string,
    schema: S,
    authorization: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Asked<z.output<S>>> {
    const others = [...this.#options.replicas()].filter(([name]) => name !== this.#options.self);
    const incomplete: string[] = [];
    const answers: z.output<S>[] = [];
    await Promise.all(
      others.map(async ([name, url]) => {
        const late = new AbortController();
        const cancel = this.#options.timers.after(Math.ceil(waitMs) + PEER_ANSWER_MS, () => late.abort());
        try {
          const response = await this.#options.fetch(new URL(path, url), {
            headers: { authorization, prefer: `wait=${Math.floor(waitMs / 1000)}` },
            signal: AbortSignal.any([signal, late.signal]),
            redirect: 'error',
          });
          if (!response.ok) throw new Error(`it answered ${response.status}`);
          answers.push(schema.parse(await response.json()));
        } catch {
          incomplete.push(name);
        } finally {
          cancel();
        }
      }),
    );
    return { answers, incomplete: incomplete.sort() };
  }
}
