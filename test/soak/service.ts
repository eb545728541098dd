import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MISSING, SERVICE_BODY } from './kinds.ts';

/** The service behind the proxy: always the same answer, with what came in `x-soak` as `x-echo`, and the path as `x-path`. */
export class EchoService {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static start(): Promise<EchoService> {
    // A connection that this side closes while idle would look like a fault.
    let missing = false;
    const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      response.setHeader('x-echo', request.headers['x-soak'] ?? 'none');
      response.setHeader('x-path', request.url ?? '');
      if (request.url === MISSING.path) {
        missing = !missing;
        if (missing) response.statusCode = MISSING.status;
      }
      response.end(SERVICE_BODY);
    });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(new EchoService(server))));
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
