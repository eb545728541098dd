import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bootstrap, type Sidecar } from './bootstrap.ts';
import { SandboxFailure } from './failure.ts';
import { projectRoot } from './project.ts';
import type { ProxyInfo } from './state.ts';
import type { Part } from './supervisor.ts';

/** etcd with its data in `data`, on the loopback alone. */
export function etcdPart(binary: string, data: string, clientPort: number, peerPort: number): Part {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return {
    name: 'etcd',
    command: binary,
    args: [
      ...['--name', 'sandbox', '--data-dir', data, '--logger', 'zap', '--log-level', 'warn'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `sandbox=${peer}`],
    ],
    readyUrl: `${client}/health`,
  };
}

/** The control plane: the built bundle where there is one, else its sources. */
export function controlPlanePart(port: number, etcdUrl: string, tokensFile: string): Part {
  return {
    name: 'control-plane',
    command: process.execPath,
    args: [controlPlaneMain()],
    env: { HFI_LISTEN: `127.0.0.1:${port}`, HFI_ETCD_ENDPOINTS: etcdUrl, HFI_TOKENS_FILE: tokensFile, HFI_REPLICA: 'sandbox' },
    readyUrl: `http://127.0.0.1:${port}/readyz`,
  };
}

function controlPlaneMain(): string {
  const bundle = path.join(projectRoot(), 'dist', 'control-plane', 'main.cjs');
  return existsSync(bundle) ? bundle : path.join(projectRoot(), 'services', 'control-plane', 'main.ts');
}

/** A demo service on a port of its own, behind its proxy. */
export function demoPart(name: 'frontend' | 'backend', port: number, env: Readonly<Record<string, string>> = {}): Part {
  return {
    name,
    command: process.execPath,
    args: [path.join(projectRoot(), 'services', 'demo', `${name}.ts`)],
    env: { ...env, PORT: String(port) },
    readyUrl: `http://127.0.0.1:${port}/healthz`,
  };
}

/** A sidecar; writes its Envoy configuration, which holds the proxies' token, for this user alone. */
export function proxyPart(envoy: string, sidecar: Sidecar, folder: string, concurrency: number): Part {
  const config = path.join(folder, `${sidecar.name}-envoy.json`);
  writeFileSync(config, JSON.stringify(bootstrap(sidecar), null, 2), { mode: 0o600 });
  return {
    name: `${sidecar.name}-proxy`,
    command: envoy,
    args: ['-c', config, '--concurrency', String(concurrency), '--disable-hot-restart', '--log-level', 'warning', '--drain-time-s', '1'],
    readyUrl: `http://127.0.0.1:${sidecar.adminPort}/ready`,
  };
}

/** How `status` shows a sidecar. */
export function proxyInfo({ name, namespace, workload, inbound, outbound, adminPort }: Sidecar): ProxyInfo {
  const url = (port: number): string => `http://127.0.0.1:${port}`;
  return { name, namespace, workload, inboundUrl: url(inbound.port), outboundUrl: url(outbound.port), adminUrl: url(adminPort) };
}

/** The built filter's module. Throws SandboxFailure when it isn't built. */
export function builtFilter(): string {
  const filter = path.join(projectRoot(), 'dist', 'filter', 'plugin.wasm');
  if (!existsSync(filter)) throw new SandboxFailure(`The filter isn't built (${filter}): run npm run build.`);
  return filter;
}
