import { Agent, request } from 'node:http';
import type { Case, Header } from './case.ts';
import { authorityOf, wireHeaders } from './host.ts';
import { asText, asWire } from './wire.ts';

/** No answer by then is none: longer than any delay that a real-time case would ask for. */
const PATIENCE_MS = 60_000;

/** An answer as the client got it; status 0 when the connection ended without one. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly body: string;
  /** Milliseconds from sending to the answer's end. */
  readonly ms: number;
}

/** A client that sends header lines as they are given, in order and repeated, over connections that it keeps. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true });

  /** Sends a request to a port of this machine. */
  send(port: number, asked: Case['request']): Promise<Answer> {
    const headers = [['host', authorityOf(asked)], ...wireHeaders(asked)].flatMap(([name = '', value = '']) => [name, asWire(value)]);
    const options = { host: '127.0.0.1', port, method: asked.method, path: asWire(asked.path), headers, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const begun = performance.now();
      const failed = (error: NodeJS.ErrnoException): void => {
        const isReset = error.code === 'ECONNRESET';
        if (isReset) resolve({ status: 0, headers: [], body: '', ms: performance.now() - begun });
        else reject(error);
      };
      const sent = request(options, (response) => {
        const chunks: Buffer[] = [];
        const { statusCode = 0, rawHeaders } = response;
        const pairs = rawHeaders.flatMap((name, i): Header[] => (i % 2 === 0 ? [[name, asText(rawHeaders[i + 1] ?? '')]] : []));
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', failed);
        response.on('end', () =>
          resolve({ status: statusCode, headers: pairs, body: Buffer.concat(chunks).toString(), ms: performance.now() - begun }),
        );
      });
      sent.on('error', failed);
      sent.setTimeout(PATIENCE_MS, () => sent.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)));
      sent.end(asked.body);
    });
  }

  end(): void {
    this.#agent.destroy();
  }
}
