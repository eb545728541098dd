import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { type Processes, until } from './processes.ts';
import { findPrometheus } from './prometheus-binary.ts';

/** What one job of the configuration scrapes. */
export interface Job {
  readonly name: string;
  /** `host:port` */
  readonly targets: readonly string[];
  readonly path?: string;
}

/** A real Prometheus with its own data, which scrapes four times a second what the test tells it to. */
export class Prometheus {
  readonly port: number;
  readonly url: string;
  readonly #processes: Processes;
  readonly #config: string;
  readonly #webConfig: string | undefined;
  #child: ChildProcess | undefined;

  private constructor(processes: Processes, port: number, config: string, webConfig: string | undefined) {
    this.#processes = processes;
    this.#config = config;
    this.#webConfig = webConfig;
    this.port = port;
    this.url = `${webConfig === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  }

  /** @param webConfig the text of its `--web.config.file`, for TLS */
  static async start(processes: Processes, jobs: readonly Job[], webConfig?: string): Promise<Prometheus> {
    const [port = 0] = await freePorts(1);
    const file = (end: string): string => join(processes.folder, `prometheus-${port}${end}`);
    if (webConfig !== undefined) writeFileSync(file('-web.yml'), webConfig);
    const prometheus = new Prometheus(processes, port, file('.json'), webConfig === undefined ? undefined : file('-web.yml'));
    prometheus.#write(jobs);
    await prometheus.start();
    return prometheus;
  }

  /** Begins anew with other jobs. */
  async restart(jobs: readonly Job[]): Promise<void> {
    await this.kill();
    this.#write(jobs);
    await this.start();
  }

  #write(jobs: readonly Job[]): void {
    writeFileSync(
      this.#config,
      JSON.stringify({
        global: { scrape_interval: '250ms', scrape_timeout: '250ms' },
        scrape_configs: jobs.map(({ name, targets, path = '/metrics' }) => ({
          job_name: name,
          metrics_path: path,
          static_configs: [{ targets }],
        })),
      }),
    );
  }

  async start(): Promise<void> {
    const found = findPrometheus();
    if ('missing' in found) throw new Error(found.missing);
    this.#child = this.#processes.start(found.path, [
      ...['--config.file', this.#config, '--storage.tsdb.path', `${this.#config}-data`, '--log.level', 'error'],
      ...['--web.listen-address', `127.0.0.1:${this.port}`],
      ...(this.#webConfig === undefined ? [] : ['--web.config.file', this.#webConfig]),
    ]);
    if (this.#webConfig !== undefined) return;
    await until(async () => (await fetch(`${this.url}/-/ready`).catch(() => undefined))?.ok === true, 'Prometheus is ready');
  }

  async kill(): Promise<void> {
    if (this.#child !== undefined) await this.#processes.kill(this.#child);
  }

  /** The values of an instant query. */
  async query(query: string): Promise<number[]> {
    const answer = await fetch(`${this.url}/api/v1/query?${new URLSearchParams({ query })}`);
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    return data.result.map(({ value }) => Number(value[1]));
  }
}

/** A page of metrics that a test writes. */
export class MetricsPage {
  readonly #server: Server;
  /** What it says, in Prometheus' text format. */
  text = '';

  private constructor() {
    this.#server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/plain; version=0.0.4');
      response.end(this.text);
    });
  }

  static async start(): Promise<MetricsPage> {
    const page = new MetricsPage();
    await new Promise<void>((resolve) => page.#server.listen(0, '127.0.0.1', resolve));
    return page;
  }

  get target(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
