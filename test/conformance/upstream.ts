import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Case, Header } from './case.ts';
import { type Arrived, answerHeaders } from './host.ts';
import { asText, asWire } from './wire.ts';

/** The service behind Envoy: answers every request as it is told to, and tells what came. */
export class UpstreamServer {
  readonly port: number;
  readonly #server: Server;
  #arrived: Arrived[] = [];

  /** How it answers from now on. */
  answer: Case['upstream'] = { status: 200, headers: [], body: '' };

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static start(): Promise<UpstreamServer> {
    return new Promise((resolve) => {
      let started: UpstreamServer;
      // Envoy keeps its connections; one that this side closes while idle would look like a fault.
      const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          started.#arrived.push(arrived(request, Buffer.concat(chunks)));
          const { status, body } = started.answer;
          response.writeHead(
            status,
            answerHeaders(started.answer).flatMap(([name, value]) => [name, asWire(value)]),
          );
          response.end(body);
        });
      });
      server.listen(0, '127.0.0.1', () => {
        started = new UpstreamServer(server);
        resolve(started);
      });
    });
  }

  /** What came since it was asked last. */
  take(): Arrived[] {
    const taken = this.#arrived;
    this.#arrived = [];
    return taken;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function arrived({ method = '', url = '', rawHeaders }: IncomingMessage, body: Buffer): Arrived {
  const headers = rawHeaders.flatMap((name, i): Header[] => (i % 2 === 0 ? [[name.toLowerCase(), asText(rawHeaders[i + 1] ?? '')]] : []));
  return { method, path: asText(url), headers, body: body.toString() };
}
