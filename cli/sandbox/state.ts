import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isRunning, type ProcessId } from './process.ts';
import { answers, type PartStatus } from './supervisor.ts';

/** A sidecar as `hfi sandbox status` shows it. */
export interface ProxyInfo {
  readonly name: string;
  readonly namespace: string;
  readonly workload: string;
  readonly inboundUrl: string;
  readonly outboundUrl: string;
  readonly adminUrl: string;
}

/** What the sandbox's supervisor writes for the other commands. Holds secrets: the file is 0600. */
export interface SandboxState {
  readonly supervisor: ProcessId;
  /** Where the supervisor takes orders, and the token it asks for. */
  readonly orders: { readonly url: string; readonly token: string };
  readonly controlPlaneUrl: string;
  readonly etcdUrl: string;
  /** The admin and proxy tokens of the control plane. */
  readonly tokens: { readonly admin: string; readonly proxy: string };
  readonly proxies: readonly ProxyInfo[];
  readonly parts: readonly PartStatus[];
  /** Whether every part has been started; the parts say whether they still run. */
  readonly complete: boolean;
  /** The context that was current before the sandbox's. */
  readonly previousContext?: string | undefined;
}

const file = (folder: string): string => path.join(folder, 'state.json');

/** The state in a folder; undefined when there is none. */
export function readState(folder: string): SandboxState | undefined {
  try {
    return JSON.parse(readFileSync(file(folder), 'utf8')) as SandboxState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes the state in one step, readable by this user alone. */
export function writeState(folder: string, state: SandboxState): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const next = `${file(folder)}.next`;
  writeFileSync(next, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(next, file(folder));
}

export function removeState(folder: string): void {
  rmSync(file(folder), { force: true });
}

/** The running sandbox of a folder; undefined when none runs. */
export function runningSandbox(folder: string): SandboxState | undefined {
  const state = readState(folder);
  return state !== undefined && isRunning(state.supervisor) ? state : undefined;
}

/** `hfi sandbox status`: its shape is a contract. `pid` is null for a part that doesn't run. */
export interface SandboxStatus {
  readonly controlPlane: { readonly url: string; readonly pid: number | null };
  readonly etcd: { readonly url: string; readonly pid: number | null };
  readonly proxies: readonly (ProxyInfo & { readonly pid: number | null })[];
  /** Every process, the demo services too. */
  readonly parts: readonly {
    readonly name: string;
    readonly state: PartStatus['state'];
    readonly pid: number | null;
    readonly ended: string | null;
  }[];
  readonly up: boolean;
}

/** What of the sandbox runs now, by asking the system about each process, and each part whether it serves: at most a second. */
export async function statusOf(state: SandboxState): Promise<SandboxStatus> {
  const supervised = isRunning(state.supervisor);
  const parts = await Promise.all(
    state.parts.map(async (part) => {
      const { name, ended = null } = part;
      if (part.state === 'dead' || !isRunning(part)) return { name, state: 'dead' as const, pid: null, ended };
      const silent = part.state === 'running' && !(await answers(part.readyUrl));
      return { name, state: silent ? ('silent' as const) : part.state, pid: part.pid, ended };
    }),
  );
  const pid = (name: string): number | null => parts.find((part) => part.name === name)?.pid ?? null;
  return {
    controlPlane: { url: state.controlPlaneUrl, pid: pid('control-plane') },
    etcd: { url: state.etcdUrl, pid: pid('etcd') },
    proxies: state.proxies.map((proxy) => ({ ...proxy, pid: pid(`${proxy.name}-proxy`) })),
    parts,
    up: supervised && state.complete && parts.every((part) => part.state === 'running'),
  };
}
