import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import path from 'node:path';
import { findBinary } from './binaries.ts';
import type { Sidecar } from './bootstrap.ts';
import { addContext, removeContext } from './context.ts';
import { SandboxFailure } from './failure.ts';
import { takeOrders } from './orders.ts';
import { builtFilter, controlPlanePart, demoPart, etcdPart, proxyInfo, proxyPart } from './parts.ts';
import { freePorts, requireFree } from './ports.ts';
import { endProcess, processId } from './process.ts';
import { sandboxFolder } from './project.ts';
import { readState, removeState, runningSandbox, type SandboxState, writeState } from './state.ts';
import { type PartStatus, Supervisor } from './supervisor.ts';

export interface SandboxOptions {
  /** The control plane's port. */
  readonly port: number;
  readonly leaseMs: number;
  /** Worker threads of each Envoy. */
  readonly concurrency: number;
  /** The demo's ports; undefined leaves the demo out. */
  readonly demo?: { readonly frontendPort: number; readonly backendPort: number } | undefined;
  readonly progress: (line: string) => void;
  /** Called when a part ends unasked. */
  readonly died: (part: PartStatus) => void;
}

/** The embedded stack: etcd, the control plane, and the demo's services behind their proxies, as processes of this one. */
export class Sandbox {
  readonly #options: SandboxOptions;
  readonly #folder = sandboxFolder();
  readonly #supervisor: Supervisor;
  #orders: Server | undefined;
  #state: SandboxState;
  #envoy = '';

  private constructor(options: SandboxOptions, state: SandboxState) {
    this.#options = options;
    this.#state = state;
    this.#supervisor = new Supervisor(path.join(this.#folder, 'logs'), (died) => {
      this.#update({ parts: this.#supervisor.parts });
      if (died !== undefined) options.died(died);
    });
  }

  get state(): SandboxState {
    return this.#state;
  }

  /**
   * Prepares a sandbox: nothing runs yet, but leftovers of an earlier one are ended, ports checked and secrets made.
   * Throws SandboxFailure, also when one runs already.
   */
  static async prepare(options: SandboxOptions): Promise<Sandbox> {
    const folder = sandboxFolder();
    const running = runningSandbox(folder);
    if (running !== undefined) {
      throw new SandboxFailure(
        `A sandbox runs already (control plane ${running.controlPlaneUrl}, pid ${running.supervisor.pid}): end it with hfi sandbox down.`,
      );
    }
    await endLeftovers(folder);
    await requireFree(options.port, '--port', 'the control plane');
    if (options.demo !== undefined) {
      await requireFree(options.demo.frontendPort, '--frontend-port', 'the demo frontend');
      await requireFree(options.demo.backendPort, '--backend-port', 'the demo backend');
    }
    for (const part of ['etcd', 'logs']) rmSync(path.join(folder, part), { recursive: true, force: true });
    mkdirSync(path.join(folder, 'logs'), { recursive: true, mode: 0o700 });
    const [etcdPort = 0] = await freePorts(1);
    return new Sandbox(options, {
      supervisor: processId(process.pid),
      orders: { url: '', token: secret() },
      controlPlaneUrl: `http://127.0.0.1:${options.port}`,
      etcdUrl: `http://127.0.0.1:${etcdPort}`,
      tokens: { admin: secret(), proxy: secret() },
      proxies: [],
      parts: [],
      complete: false,
    });
  }

  /** Starts every part, each once what it needs is ready. Throws SandboxFailure; call `down` then. */
  async up(): Promise<void> {
    const { progress } = this.#options;
    const filter = builtFilter();
    const [envoy, etcd] = await Promise.all([findBinary('envoy', progress), findBinary('etcd', progress)]);
    for (const note of [...envoy.notes, ...etcd.notes]) progress(`Note: ${note}`);
    this.#envoy = envoy.path;
    const { url, server } = await takeOrders(this.#state.orders.token, (part) => this.#supervisor.restart(part));
    this.#orders = server;
    this.#update({ orders: { ...this.#state.orders, url } });

    await this.#startControlPlane(etcd.path);
    if (this.#options.demo !== undefined) await this.#startDemo(filter, this.#options.demo);
    const previousContext = addContext(this.#state.controlPlaneUrl, this.#state.tokens.admin);
    this.#update({ complete: true, previousContext });
  }

  /** Ends every part and takes the state and the CLI's context away. */
  async down(): Promise<void> {
    this.#orders?.close();
    this.#orders?.closeAllConnections();
    await this.#supervisor.end();
    removeContext(this.#state.tokens.admin, this.#state.previousContext);
    removeState(this.#folder);
  }

  async #startControlPlane(etcd: string): Promise<void> {
    const { etcdUrl, tokens } = this.#state;
    const [peerPort = 0] = await freePorts(1);
    await this.#supervisor.start(etcdPart(etcd, path.join(this.#folder, 'etcd'), Number(new URL(etcdUrl).port), peerPort));
    const tokensFile = path.join(this.#folder, 'tokens.json');
    const entries = Object.entries(tokens).map(([role, token]) => ({ name: `sandbox-${role}`, role, token }));
    rmSync(tokensFile, { force: true });
    writeFileSync(tokensFile, JSON.stringify(entries), { mode: 0o600 });
    await this.#supervisor.start(controlPlanePart(this.#options.port, etcdUrl, tokensFile));
  }

  async #startDemo(filter: string, { frontendPort, backendPort }: { frontendPort: number; backendPort: number }): Promise<void> {
    const [frontendApp = 0, backendApp = 0, frontendOut = 0, backendOut = 0, frontendAdmin = 0, backendAdmin = 0] = await freePorts(6);
    const service = (name: string, port: number, app: number, out: number, other: number, adminPort: number): Sidecar => ({
      ...this.#sidecarBase(filter),
      name,
      namespace: 'demo',
      workload: `${name}-v1`,
      labels: { app: name, version: 'v1' },
      adminPort,
      inbound: { port, upstream: { host: '127.0.0.1', port: app } },
      outbound: { port: out, upstream: { host: '127.0.0.1', port: other } },
      accessLog: this.#supervisor.logFile(`${name}-access`),
    });
    const sidecars = [
      service('frontend', frontendPort, frontendApp, frontendOut, backendPort, frontendAdmin),
      service('backend', backendPort, backendApp, backendOut, frontendPort, backendAdmin),
    ];
    this.#update({ proxies: sidecars.map(proxyInfo) });
    await Promise.all([
      this.#supervisor.start(demoPart('backend', backendApp)),
      this.#supervisor.start(demoPart('frontend', frontendApp, { BACKEND_URL: `http://127.0.0.1:${frontendOut}` })),
      ...sidecars.map((sidecar) => this.#startProxy(sidecar)),
    ]);
  }

  #sidecarBase(filter: string): Pick<Sidecar, 'controlPlane' | 'filter' | 'leaseMs'> {
    const { port, leaseMs } = this.#options;
    return { controlPlane: { host: '127.0.0.1', port, token: this.#state.tokens.proxy }, filter, leaseMs };
  }

  #startProxy(sidecar: Sidecar): Promise<void> {
    return this.#supervisor.start(proxyPart(this.#envoy, sidecar, this.#folder, this.#options.concurrency));
  }

  #update(change: Partial<SandboxState>): void {
    this.#state = { ...this.#state, ...change };
    writeState(this.#folder, this.#state);
  }
}

/** Ends what an earlier sandbox left running, told by process id and start time, and forgets it. */
export async function endLeftovers(folder: string): Promise<void> {
  const state = readState(folder);
  if (state === undefined) return;
  await Promise.all(state.parts.map((part) => endProcess(part, 1000)));
  removeContext(state.tokens.admin, state.previousContext);
  removeState(folder);
}

/** 32 random bytes as text. */
function secret(): string {
  return randomBytes(32).toString('base64url');
}
