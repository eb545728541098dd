import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { FILTER_PATH } from '../../build/filter.ts';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { bootstrap, type Upstream } from '../../cli/sandbox/bootstrap.ts';
import { freePorts } from '../../cli/sandbox/ports.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { Replica, TOKENS } from './control-plane.ts';
import { Etcd } from './etcd.ts';
import { type Processes, until } from './processes.ts';

/** Milliseconds for a change to be acknowledged by every proxy. */
const ACKNOWLEDGE_SECONDS = 10;

export interface SidecarOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly upstream?: Upstream;
  readonly leaseMs?: number;
  /** Changes the finished bootstrap. */
  readonly change?: (configuration: string) => string;
  /** Where it polls, if not at the control plane. */
  readonly controlPlanePort?: number;
  readonly concurrency?: number;
  readonly waitForRuleset?: boolean;
  /** Whether a next Envoy can take over from the running one. */
  readonly hotRestart?: boolean;
}

/** A real Envoy with the filter. */
export class Sidecar {
  readonly name: string;
  readonly inbound: string;
  readonly outbound: string;
  readonly admin: string;
  readonly accessLogFile: string;
  readonly #start: (epoch: number) => ChildProcess;
  readonly #processes: Processes;
  #child: ChildProcess;
  #epoch = 0;

  constructor(
    processes: Processes,
    name: string,
    ports: readonly [number, number, number],
    accessLogFile: string,
    start: (epoch: number) => ChildProcess,
  ) {
    const [inbound, outbound, admin] = ports.map((port) => `http://127.0.0.1:${port}`) as [string, string, string];
    this.name = name;
    this.inbound = inbound;
    this.outbound = outbound;
    this.admin = admin;
    this.accessLogFile = accessLogFile;
    this.#processes = processes;
    this.#start = start;
    this.#child = start(0);
  }

  /** Envoy's process. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(): Promise<void> {
    return this.#processes.kill(this.#child);
  }

  async restart(): Promise<void> {
    this.#child = this.#start(0);
    await this.ready();
  }

  /** Starts the next Envoy beside this one, which takes its listeners over, and waits until the one before has ended. */
  async hotRestart(): Promise<void> {
    const before = this.#child;
    const gone = new Promise((resolve) => before.once('exit', resolve));
    this.#child = this.#start(++this.#epoch);
    await gone;
    await this.ready();
  }

  async ready(): Promise<void> {
    await until(async () => (await fetch(`${this.admin}/ready`).catch(() => undefined))?.ok === true, `${this.name} is ready`);
  }

  /** One of the filter's metrics, by its name without `hfi_`, as Prometheus sees it; undefined before it is defined. */
  async metric(name: string): Promise<number | undefined> {
    const page = await (await fetch(`${this.admin}/stats/prometheus`)).text();
    const value = new RegExp(`^wasmcustom_hfi_${name}(?:\\{[^}]*\\})? ([0-9.e+-]+)$`, 'm').exec(page)?.[1];
    return value === undefined ? undefined : Number(value);
  }

  accessLog(): Record<string, unknown>[] {
    return readFileSync(this.accessLogFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

/** etcd, the control plane and as many sidecars as a test wants, all real. */
export class Mesh {
  readonly processes: Processes;
  readonly etcd: Etcd;
  replica: Replica;
  /** Answers 200 with `upstream` and counts what it gets. */
  readonly upstream: Server;
  upstreamRequests = 0;

  private constructor(processes: Processes, etcd: Etcd, replica: Replica) {
    this.processes = processes;
    this.etcd = etcd;
    this.replica = replica;
    // It closes no connection that Envoy may just be about to use.
    this.upstream = createServer({ keepAliveTimeout: 0 }, (_request, response) => {
      this.upstreamRequests++;
      response.end('upstream');
    });
  }

  /** @param env more of the control plane's configuration */
  static async start(processes: Processes, env: NodeJS.ProcessEnv = {}): Promise<Mesh> {
    const etcd = await Etcd.start(processes);
    const mesh = new Mesh(processes, etcd, await Replica.start(processes, etcd.url, { env }));
    await new Promise<void>((resolve) => mesh.upstream.listen(0, '127.0.0.1', resolve));
    return mesh;
  }

  async end(): Promise<void> {
    this.upstream.closeAllConnections();
    this.upstream.close();
    await this.processes.end();
  }

  get upstreamPort(): number {
    return (this.upstream.address() as AddressInfo).port;
  }

  async sidecar(name: string, options: SidecarOptions = {}): Promise<Sidecar> {
    const { path } = await findBinary('envoy');
    const [inbound = 0, outbound = 0, admin = 0] = await freePorts(3);
    const upstream = options.upstream ?? { host: '127.0.0.1', port: this.upstreamPort };
    const accessLog = join(this.processes.folder, `${name}-${inbound}.log`);
    writeFileSync(accessLog, '');
    const configuration = JSON.stringify(
      bootstrap({
        name,
        namespace: options.namespace ?? 'demo',
        workload: `${name}-v1`,
        labels: { app: name, version: 'v1', ...options.labels },
        adminPort: admin,
        inbound: { port: inbound, upstream },
        outbound: { port: outbound, upstream },
        controlPlane: { host: '127.0.0.1', port: options.controlPlanePort ?? this.replica.port, token: TOKENS.proxy },
        filter: FILTER_PATH,
        leaseMs: options.leaseMs ?? 60_000,
        accessLog,
      }),
    );
    const file = join(this.processes.folder, `${name}-${inbound}.json`);
    writeFileSync(file, options.change?.(configuration) ?? configuration);
    const args = [
      '-c',
      file,
      '--concurrency',
      String(options.concurrency ?? 2),
      '--log-level',
      'error',
      '--file-flush-interval-msec',
      '50',
    ];
    const epochFlags = (epoch: number): string[] =>
      options.hotRestart === true
        ? ['--base-id', String(inbound), '--restart-epoch', String(epoch), '--drain-time-s', '1', '--parent-shutdown-time-s', '2']
        : ['--disable-hot-restart'];
    const sidecar = new Sidecar(this.processes, name, [inbound, outbound, admin], accessLog, (epoch) =>
      this.processes.start(path, [...args, ...epochFlags(epoch)]),
    );
    await sidecar.ready();
    if (options.waitForRuleset !== false)
      await until(async () => (await sidecar.metric('rulesets_accepted_total')) === 1, `${name} has a ruleset`);
    return sidecar;
  }

  /** Applies a policy and waits until every connected proxy runs what it should. */
  async apply(name: string, spec: PolicyInput['spec']): Promise<void> {
    const reply = await this.replica.put(name, spec);
    if (reply.status >= 300) throw new Error(reply.text);
    await this.#acknowledged((reply.headers.get('etag') ?? '').replaceAll('"', ''));
  }

  async remove(name: string): Promise<void> {
    const reply = await this.replica.ask('DELETE', `/v1/policies/${name}`);
    if (reply.status >= 300) throw new Error(reply.text);
    await this.#acknowledged(String(reply.body.resourceVersion));
  }

  async #acknowledged(revision: string): Promise<void> {
    const reply = await this.replica.ask('GET', `/v1/rollout?revision=${revision}`, { headers: { prefer: `wait=${ACKNOWLEDGE_SECONDS}` } });
    if (reply.body.done !== true) throw new Error(`not acknowledged: ${reply.text}`);
  }
}
