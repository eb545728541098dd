import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';
import { type Ended, hfi, hfiOnTerminal, type Setting } from './hfi.ts';

/** A real control plane on a real etcd, a folder for files, and the CLI speaking to it as an admin unless told otherwise. */
export class Stack {
  readonly processes: Processes;
  readonly etcd: Etcd;
  readonly server: Replica;

  private constructor(processes: Processes, etcd: Etcd, server: Replica) {
    this.processes = processes;
    this.etcd = etcd;
    this.server = server;
  }

  /** @param env more of the control plane's configuration */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<Stack> {
    const processes = await Processes.begin();
    try {
      const etcd = await Etcd.start(processes);
      return new Stack(processes, etcd, await Replica.start(processes, etcd.url, { env }));
    } catch (error) {
      await processes.end();
      throw error;
    }
  }

  hfi(args: readonly string[], setting: Setting = {}): Promise<Ended> {
    return hfi(args, this.#here(setting));
  }

  onTerminal(args: readonly string[], setting: Setting = {}): Promise<Ended> {
    return hfiOnTerminal(args, this.#here(setting));
  }

  /** Writes a file into the stack's folder. @returns its path */
  file(name: string, text: string, mode = 0o600): string {
    const path = join(this.processes.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
    return path;
  }

  /** Deletes every policy. */
  async empty(): Promise<void> {
    const { body } = await this.server.ask('GET', '/v1/policies?limit=100');
    for (const { metadata } of body.items as { metadata: { name: string } }[]) {
      await this.server.ask('DELETE', `/v1/policies/${metadata.name}`);
    }
  }

  end(): Promise<void> {
    return this.processes.end();
  }

  #here(setting: Setting): Setting {
    return { ...setting, env: { HFI_CONTROL_PLANE_ADDR: this.server.url, HFI_TOKEN: TOKENS.admin, ...setting.env } };
  }
}

/** A small policy as YAML. @param fault lines under `fault:`, in flow style */
export function policyText(name: string, fault = '{ abort: { httpStatus: 503 } }', service = 'frontend'): string {
  return `metadata:\n  name: ${name}\nspec:\n  selector: { namespace: demo, service: ${service} }\n  rules:\n    - fault: ${fault}\n`;
}
