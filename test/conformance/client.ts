import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { Case, Header } from './case.ts';
import { authorityOf, wireHeaders } from './host.ts';
import { selfSigned } from './mutual-tls.ts';
import { asText, asWire } from './wire.ts';

/** No answer by then is none: longer than any delay that a real-time case would ask for. */
const PATIENCE_MS = 60_000;

/** An answer as the client got it. */
export interface Answer {
  /** The connection ended before the answer did. */
  readonly broken: boolean;
  /** 0 when it ended before there was any. */
  readonly status: number;
  readonly headers: readonly Header[];
  readonly body: string;
  /** Milliseconds from sending to the answer's end. */
  readonly ms: number;
}

/** A client that sends header lines as they are given, in order and repeated, over connections that it keeps. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true });
  /** By the caller's identity. */
  readonly #tlsAgents = new Map<string, TlsAgent>();

  /** Sends a request to a port of this machine, with the caller's certificate when it has an identity. */
  async send(port: number, asked: Case['request']): Promise<Answer> {
    const headers = [['host', authorityOf(asked)], ...wireHeaders(asked)].flatMap(([name = '', value = '']) => [name, asWire(value)]);
    const options = { host: '127.0.0.1', port, method: asked.method, path: asWire(asked.path), headers };
    const agent = asked.source === undefined ? undefined : await this.#tlsAgent(asked.source);
    const begun = performance.now();
    const sent = agent === undefined ? request({ ...options, agent: this.#agent }) : tlsRequest({ ...options, agent });
    sent.end(asked.body);
    const answer = await answerTo(sent).catch((error: Error) => {
      // A connection that a case broke must not fail the cases that follow.
      this.end();
      throw error;
    });
    return { ...answer, ms: performance.now() - begun };
  }

  end(): void {
    for (const agent of [this.#agent, ...this.#tlsAgents.values()]) agent.destroy();
  }

  async #tlsAgent(source: string): Promise<TlsAgent> {
    const known = this.#tlsAgents.get(source);
    if (known !== undefined) return known;
    const made = new TlsAgent({ keepAlive: true, ...(await selfSigned(source)), rejectUnauthorized: false });
    this.#tlsAgents.set(source, made);
    return made;
  }
}

function answerTo(sent: ClientRequest): Promise<Omit<Answer, 'ms'>> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException, so: Pick<Answer, 'status' | 'headers' | 'body'>): void => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve({ broken: true, ...so });
      else reject(error);
    };
    const head = ({ statusCode = 0, rawHeaders }: IncomingMessage) => ({
      status: statusCode,
      headers: rawHeaders.flatMap((name, i): Header[] => (i % 2 === 0 ? [[name, asText(rawHeaders[i + 1] ?? '')]] : [])),
    });
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      const soFar = () => ({ ...head(response), body: Buffer.concat(chunks).toString() });
      response.on('error', (error) => failed(error, soFar()));
      response.on('end', () => resolve({ broken: false, ...soFar() }));
    });
    // A tunnel is no exchange that a case could judge further.
    for (const event of ['connect', 'upgrade'] as const) {
      sent.on(event, (response, socket) => {
        socket.destroy();
        resolve({ broken: false, ...head(response), body: '' });
      });
    }
    sent.on('error', (error) => failed(error, { status: 0, headers: [], body: '' }));
    // Not the socket's own limit, which a trickle of bytes would put off.
    const patience = setTimeout(() => sent.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    sent.on('close', () => clearTimeout(patience));
  });
}
