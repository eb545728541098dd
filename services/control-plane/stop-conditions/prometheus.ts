import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type Answer, readAnswer } from './answer.ts';
import type { PrometheusConfig } from './settings.ts';

/** Who can be asked PromQL queries. */
export interface Prometheus {
  /** Asks for the value of a query now. Never rejects: what goes wrong is an answer without data. */
  ask(query: string): Promise<Answer>;
}

/** An answer that is longer has more samples than a condition should look through. */
const LONGEST_ANSWER = 1024 * 1024;
/** Connections that are kept, and queries under way, at most. */
const CONNECTIONS = 16;

/** Prometheus' HTTP API. By `node:https`, since `fetch` takes no certificate authority. */
export class HttpPrometheus implements Prometheus {
  readonly #config: PrometheusConfig;
  readonly #url: URL;
  readonly #agent: HttpAgent;

  constructor(config: PrometheusConfig) {
    this.#config = config;
    this.#url = new URL(`${config.url.replace(/\/+$/, '')}/api/v1/query`);
    const options = { keepAlive: true, maxSockets: CONNECTIONS };
    const ca = config.caFile === undefined ? {} : { ca: readFileSync(config.caFile) };
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent({ ...options, ...ca }) : new HttpAgent(options);
  }

  async ask(query: string): Promise<Answer> {
    try {
      const { status, text } = await this.#post(new URLSearchParams({ query }).toString());
      return readAnswer(status, text);
    } catch (error) {
      return { kind: 'none', why: `Prometheus can not be asked (${reason(error, this.#config.timeoutMs)})` };
    }
  }

  async #post(body: string): Promise<{ status: number; text: string }> {
    const { tokenFile, timeoutMs } = this.#config;
    const token = tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8').trim();
    const headers = {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const request = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const options = { method: 'POST', headers, agent: this.#agent, signal: AbortSignal.timeout(timeoutMs) };
      const asking = request(this.#url, options, (reply) => {
        const parts: Buffer[] = [];
        let length = 0;
        reply.on('data', (part: Buffer) => {
          length += part.length;
          if (length > LONGEST_ANSWER) asking.destroy(new Error(`the answer is longer than ${LONGEST_ANSWER} bytes`));
          else parts.push(part);
        });
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }));
        reply.on('error', reject);
      });
      asking.on('error', reject);
      asking.end(body);
    });
  }
}

function reason(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return `no answer within ${timeoutMs} ms`;
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
