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
    const answers: z.output<S>[] = [];
    const incomplete = await this.#each(Math.ceil(waitMs) + PEER_ANSWER_MS, async (url, late) => {
      const response = await this.#options.fetch(new URL(path, url), {
        headers: { authorization, prefer: `wait=${Math.floor(waitMs / 1000)}` },
        signal: AbortSignal.any([signal, late]),
        redirect: 'error',
      });
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      answers.push(schema.parse(await response.json()));
    });
    return { answers, incomplete };
  }

  /**
   * Tells all others at once, whatever becomes of who asked for it.
   *
   * @param path path and query; must say `scope=local`, or they would tell us in turn
   * @returns the names of those that didn't take it
   */
  tell(path: string, body: object, authorization: string): Promise<string[]> {
    return this.#each(PEER_ANSWER_MS, async (url, late) => {
      const response = await this.#options.fetch(new URL(path, url), {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: late,
        redirect: 'error',
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`it answered ${response.status}`);
    });
  }

  /** @returns the names of those with which it failed, in order */
  async #each(timeoutMs: number, run: (url: string, late: AbortSignal) => Promise<void>): Promise<string[]> {
    const failed: string[] = [];
    await Promise.all(
      [...this.#options.replicas()].map(async ([name, url]) => {
        if (name === this.#options.self) return;
        const late = new AbortController();
        const cancel = this.#options.timers.after(timeoutMs, () => late.abort());
        try {
          await run(url, late.signal);
        } catch {
          failed.push(name);
        } finally {
          cancel();
        }
      }),
    );
    return failed.sort();
  }
}
