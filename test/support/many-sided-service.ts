import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

/** A service that answers in each way that HTTP has, by the path, and remembers what it got. */
export class ManySidedService {
  readonly port: number;
  readonly #server: Server;
  /** The last request whose body came whole. */
  last: { headers: IncomingMessage['headers']; body: Buffer } | undefined;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static start(): Promise<ManySidedService> {
    return new Promise((resolve) => {
      let started: ManySidedService;
      const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          started.last = { headers: request.headers, body: Buffer.concat(chunks) };
          const path = request.url ?? '/';
          if (path.startsWith('/gzip')) response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('packed'));
          else if (path.startsWith('/part')) response.writeHead(206, { 'content-range': 'bytes 0-3/10' }).end('0123');
          else if (path.startsWith('/empty')) response.writeHead(204).end();
          else if (path.startsWith('/large')) response.end(Buffer.alloc(2_000_000, 'x'));
          else if (path.startsWith('/chunked')) {
            response.write('0123456789');
            setTimeout(() => response.end('abcdef'), 20);
          } else response.end('upstream');
        });
      });
      server.on('upgrade', (_request, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
        socket.pipe(socket);
      });
      server.listen(0, '127.0.0.1', () => {
        started = new ManySidedService(server);
        resolve(started);
      });
    });
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
