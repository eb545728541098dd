import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import { TOKENS } from '../support/control-plane.ts';
import { type Answer, send } from '../support/load.ts';

const FIRST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 5000;

/** Proxies that poll as the filter does: held while there is nothing new; after a failure again with pauses that grow, drawn, and then asking for an answer at once. */
export class Crowd {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  readonly #leaving = new AbortController();
  readonly #url: string;
  readonly #running: Promise<void>[];
  /** Whether there is somebody to ask: as a Service, which has no address while no replica is ready. */
  open = true;
  /** Answers that are a refusal, by status. */
  readonly refusals: number[] = [];
  /** The proxies that were answered since `forget`. */
  readonly served = new Set<number>();

  constructor(url: string, count: number) {
    this.#url = url;
    this.#running = Array.from({ length: count }, (_, proxy) => this.#run(proxy));
  }

  /** From now on it counts anew who was answered. */
  forget(): void {
    this.served.clear();
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await Promise.all(this.#running);
    this.#agent.destroy();
  }

  async #run(proxy: number): Promise<void> {
    let has = '';
    let failures = 0;
    // Not all of a fleet begin in the same moment.
    await sleep(Math.random() * 2000);
    while (!this.#leaving.signal.aborted) {
      const { status, headers } = await this.#ask(proxy, has, failures === 0 && has !== '' ? 25 : 0);
      if (status === 200 || status === 304) {
        failures = 0;
        has = headers.etag ?? has;
        this.served.add(proxy);
        continue;
      }
      if (status !== 0) this.refusals.push(status);
      const most = Math.min(FIRST_BACKOFF_MS * 2 ** failures++, MOST_BACKOFF_MS);
      await sleep(most * (0.5 + Math.random() / 2));
    }
  }

  async #ask(proxy: number, has: string, waitSeconds: number): Promise<Pick<Answer, 'status' | 'headers'>> {
    if (!this.open) return { status: 0, headers: {} };
    return send(`${this.#url}/v1/ruleset`, {
      agent: this.#agent,
      signal: this.#leaving.signal,
      headers: {
        authorization: `Bearer ${TOKENS.proxy}`,
        'x-hfi-proxy': `proxy-${proxy}`,
        'x-hfi-namespace': 'demo',
        'x-hfi-workload': `workload-${proxy % 100}`,
        'x-hfi-labels': `app=app-${proxy % 100}`,
        'x-hfi-layout': String(LAYOUT_VERSION),
        'x-hfi-lease-ms': '60000',
        prefer: `wait=${waitSeconds}`,
        ...(has === '' ? {} : { 'if-none-match': has, 'x-hfi-acknowledged': has.replaceAll('"', '') }),
      },
    });
  }
}
