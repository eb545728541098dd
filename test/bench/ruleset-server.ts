import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HEADER_ACKNOWLEDGED, HEADER_TIME, HEADER_WORKLOAD } from '../../filter/assembly/protocol.ts';
import { rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { until } from '../support/processes.ts';

/**
 * Answers the filters' polls with fixed rulesets, so that what is measured is the filter alone. Polls wait as at the real
 * control plane.
 */
export class RulesetServer {
  readonly port: number;
  readonly #server: Server;
  readonly #rulesets: ReadonlyMap<string, Uint8Array>;
  readonly #acknowledged = new Map<string, string>();

  private constructor(server: Server, rulesets: ReadonlyMap<string, Uint8Array>) {
    this.#server = server;
    this.#rulesets = rulesets;
    this.port = (server.address() as AddressInfo).port;
  }

  /** @param rulesets by workload */
  static start(rulesets: ReadonlyMap<string, Uint8Array>): Promise<RulesetServer> {
    return new Promise((resolve) => {
      const server = createServer((request, response) => {
        const workload = String(request.headers[HEADER_WORKLOAD]);
        served.#acknowledged.set(workload, String(request.headers[HEADER_ACKNOWLEDGED] ?? ''));
        const wait = Number(/wait=(\d+)/.exec(String(request.headers.prefer))?.[1] ?? 0);
        served.#answer(workload, String(request.headers['if-none-match']), wait, response);
      });
      let served: RulesetServer;
      server.listen(0, '127.0.0.1', () => {
        served = new RulesetServer(server, rulesets);
        resolve(served);
      });
    });
  }

  #answer(workload: string, has: string, waitSeconds: number, response: ServerResponse): void {
    const bytes = this.#rulesets.get(workload);
    if (bytes === undefined) return void response.writeHead(404).end();
    const etag = `"${rulesetVersion(bytes)}"`;
    if (has !== etag) {
      response.writeHead(200, { etag, 'content-type': 'application/octet-stream', [HEADER_TIME]: Date.now() }).end(bytes);
      return;
    }
    const later = setTimeout(() => response.writeHead(304, { etag, [HEADER_TIME]: Date.now() }).end(), waitSeconds * 1000);
    response.on('close', () => clearTimeout(later));
  }

  /** Waits until every worker of the workload's proxy has said that it runs its ruleset. */
  inForce(workload: string): Promise<void> {
    const bytes = this.#rulesets.get(workload);
    const version = bytes && rulesetVersion(bytes);
    return until(() => this.#acknowledged.get(workload) === version, `${workload} runs its ruleset`);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
