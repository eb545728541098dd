import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HEADER_ACKNOWLEDGED, HEADER_TIME, HEADER_VMS, HEADER_WORKLOAD } from '../../filter/assembly/protocol.ts';
import { rulesetVersion } from '../../services/control-plane/ruleset/compile.ts';
import { until } from '../support/processes.ts';

/** Longest time for a proxy to take a ruleset and say so. */
const REPLACE_MS = 10_000;

/**
 * Answers the filters' polls with given rulesets, so that what is measured is the filter alone. Polls wait as at the real
 * control plane.
 */
export class RulesetServer {
  readonly port: number;
  readonly #server: Server;
  readonly #rulesets: Map<string, Uint8Array>;
  readonly #acknowledged = new Map<string, string>();
  /** Workers and main threads that run the filter, by workload. */
  readonly #vms = new Map<string, number>();
  /** Called at each poll, and when a ruleset changes. */
  readonly #watchers = new Set<() => void>();

  private constructor(server: Server, rulesets: Map<string, Uint8Array>) {
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
        served.#vms.set(workload, Number(request.headers[HEADER_VMS] ?? 0));
        served.#wake();
        const wait = Number(/wait=(\d+)/.exec(String(request.headers.prefer))?.[1] ?? 0);
        served.#answer(workload, String(request.headers['if-none-match']), wait, response);
      });
      let served: RulesetServer;
      server.listen(0, '127.0.0.1', () => {
        served = new RulesetServer(server, new Map(rulesets));
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
    const changed = (): void => {
      if (this.#rulesets.get(workload) === bytes) return;
      done();
      this.#answer(workload, has, waitSeconds, response);
    };
    const done = (): void => {
      clearTimeout(later);
      this.#watchers.delete(changed);
      response.off('close', done);
    };
    this.#watchers.add(changed);
    response.on('close', done);
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Gives a workload another ruleset. Resolves when every worker of its proxy has said that it runs it. */
  replace(workload: string, bytes: Uint8Array): Promise<void> {
    const version = rulesetVersion(bytes);
    this.#rulesets.set(workload, bytes);
    return new Promise((resolve, reject) => {
      const taken = (): void => {
        if (this.#acknowledged.get(workload) !== version) return;
        clearTimeout(late);
        this.#watchers.delete(taken);
        resolve();
      };
      const late = setTimeout(() => {
        this.#watchers.delete(taken);
        reject(new Error(`${workload} does not run its ruleset within ${REPLACE_MS} ms`));
      }, REPLACE_MS);
      this.#watchers.add(taken);
      this.#wake();
    });
  }

  /** Waits until that many VMs of the workload's proxy are up, each of which then acknowledges for itself. */
  hasVms(workload: string, count: number): Promise<void> {
    return until(() => this.#vms.get(workload) === count, `${workload} has ${count} VMs`);
  }

  /** Forgets what proxies said that are gone. */
  forget(): void {
    this.#acknowledged.clear();
    this.#vms.clear();
  }

  /** Waits until every worker of the workload's proxy has said that it runs its ruleset. @param ms how long at most */
  inForce(workload: string, ms?: number): Promise<void> {
    const bytes = this.#rulesets.get(workload);
    const version = bytes && rulesetVersion(bytes);
    return until(() => this.#acknowledged.get(workload) === version, `${workload} runs its ruleset`, ms);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
