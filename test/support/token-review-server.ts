import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { CertificateFiles } from './certificates.ts';

/** What the stand-in says of a token. */
export interface Reviewed {
  readonly username: string;
  readonly groups?: readonly string[];
  /** For whom the token was made; `null` = this server knows nothing of audiences. */
  readonly audiences: readonly string[] | null;
}

/**
 * A stand-in for a Kubernetes API server, **not a real one**: it speaks TokenReview (`authentication.k8s.io/v1`) over TLS and nothing else. A
 * real API server is asked in `test/cluster`.
 */
export class TokenReviewServer {
  readonly url: string;
  /** Every token that was asked about, in order. */
  readonly asked: string[] = [];
  /** The control plane's own token, without which nothing is answered. */
  ownToken: string;
  readonly #server: Server;
  readonly #users: ReadonlyMap<string, Reviewed>;

  private constructor(server: Server, port: number, ownToken: string, users: ReadonlyMap<string, Reviewed>) {
    this.#server = server;
    this.url = `https://localhost:${port}`;
    this.ownToken = ownToken;
    this.#users = users;
  }

  static async start(files: CertificateFiles, ownToken: string, users: ReadonlyMap<string, Reviewed>): Promise<TokenReviewServer> {
    const server = createServer({ cert: readFileSync(files.cert), key: readFileSync(files.key) });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const standIn = new TokenReviewServer(server, (server.address() as AddressInfo).port, ownToken, users);
    server.on('request', (request, response) => {
      let text = '';
      request.on('data', (bytes: Buffer) => {
        text += bytes;
      });
      request.on('end', () => {
        const { status, body } = standIn.#answer(request.method ?? '', request.url ?? '', request.headers.authorization, text);
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    return standIn;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(method: string, path: string, authorization: string | undefined, text: string): { status: number; body: object } {
    if (method !== 'POST' || path !== '/apis/authentication.k8s.io/v1/tokenreviews') return { status: 404, body: { kind: 'Status' } };
    if (authorization !== `Bearer ${this.ownToken}`) return { status: 401, body: { kind: 'Status', reason: 'Unauthorized' } };
    const review = JSON.parse(text) as { apiVersion: string; kind: string; spec: { token: string; audiences: string[] } };
    const { token, audiences } = review.spec;
    this.asked.push(token);
    const user = this.#users.get(token);
    const meant = user?.audiences?.filter((one) => audiences.includes(one));
    // As the real one: a token that was made for nobody who asks is not authenticated.
    if (user === undefined || (meant !== undefined && meant.length === 0)) {
      return { status: 201, body: { ...review, status: { authenticated: false, user: {}, error: 'invalid bearer token' } } };
    }
    const { username, groups = [] } = user;
    return {
      status: 201,
      body: {
        ...review,
        status: { authenticated: true, user: { username, uid: '1', groups }, ...(meant === undefined ? {} : { audiences: meant }) },
      },
    };
  }
}
