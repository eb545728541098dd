import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A control plane whose etcd fails at the write of one policy: everything else is passed on to the real one. */
export class BusyApi {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static start(real: string, refused: string): Promise<BusyApi> {
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const write = request.method === 'PUT' && request.url?.endsWith(`/${refused}`) === true;
      const answer = await fetch(real + (write ? '/v1/policies?limit=1' : request.url), {
        method: write ? 'GET' : (request.method ?? 'GET'),
        headers: { authorization: request.headers.authorization ?? '', 'content-type': request.headers['content-type'] ?? '' },
        ...(chunks.length > 0 && !write ? { body: Buffer.concat(chunks) } : {}),
      });
      const headers = { 'hfi-control-plane': answer.headers.get('hfi-control-plane') ?? '', 'content-type': 'application/json' };
      response.writeHead(write ? 503 : answer.status, headers);
      const body = await answer.text();
      response.end(write ? JSON.stringify({ code: 'store-unavailable', detail: 'etcd does not answer.' }) : body);
    });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(new BusyApi(server))));
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
