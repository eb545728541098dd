import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { findBinary } from './binaries.ts';
import type { Upstream } from './bootstrap.ts';
import { SandboxFailure } from './failure.ts';
import { builtFilter, proxyPart } from './parts.ts';
import { freePorts, requireFree } from './ports.ts';
import { sandboxFolder } from './project.ts';
import type { SandboxState } from './state.ts';
import { type PartStatus, Supervisor } from './supervisor.ts';

/** A service of the user's own that gets a sidecar. */
export interface OwnService {
  readonly name: string;
  readonly namespace: string;
  /** Where the sidecar listens. */
  readonly port: number;
  readonly upstream: Upstream;
  readonly leaseMs: number;
  readonly progress: (line: string) => void;
}

/** One sidecar of a process of its own, at a running sandbox's control plane. */
export class SidecarRun {
  readonly #supervisor: Supervisor;
  readonly #folder = sandboxFolder();

  constructor(died: (part: PartStatus) => void) {
    mkdirSync(path.join(this.#folder, 'logs'), { recursive: true, mode: 0o700 });
    this.#supervisor = new Supervisor(path.join(this.#folder, 'logs'), (part) => part !== undefined && died(part));
  }

  /** Starts the sidecar; resolves when it serves. Throws SandboxFailure. */
  async start(sandbox: SandboxState | undefined, service: OwnService): Promise<void> {
    if (sandbox === undefined) throw new SandboxFailure('The sandbox has ended meanwhile: try again.');
    await requireFree(service.port, '--port', 'the sidecar');
    const envoy = await findBinary('envoy', service.progress);
    const [adminPort = 0, outbound = 0] = await freePorts(2);
    const controlPlane = new URL(sandbox.controlPlaneUrl);
    await this.#supervisor.start(
      proxyPart(
        envoy.path,
        {
          name: service.name,
          namespace: service.namespace,
          workload: service.name,
          labels: { app: service.name },
          adminPort,
          inbound: { port: service.port, upstream: service.upstream },
          outbound: { port: outbound, upstream: service.upstream },
          controlPlane: { host: controlPlane.hostname, port: Number(controlPlane.port), token: sandbox.tokens.proxy },
          filter: builtFilter(),
          leaseMs: service.leaseMs,
          accessLog: this.#supervisor.logFile(`${service.name}-access`),
        },
        this.#folder,
        2,
      ),
    );
  }

  end(): Promise<void> {
    return this.#supervisor.end();
  }
}
