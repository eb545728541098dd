import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { makeNetwork, NETNS, removeNetwork } from './bed/network.ts';

/*
 * `npm run test:cluster`: with KUBECONFIG or HFI_TEST_CONTEXT on that cluster; else on a cluster of its own, for which everything that no
 * registry ships as a binary is built first (once; about 15 minutes). `--bed` only brings that cluster up. Needs root and Debian.
 */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const PROGRAMS: readonly [path: string, debian: string][] = [
  ['/usr/bin/containerd', 'containerd'],
  ['/usr/sbin/runc', 'runc'],
  ['/usr/lib/cni/bridge', 'containernetworking-plugins'],
  ['/usr/sbin/xtables-legacy-multi', 'iptables'],
  ['/usr/sbin/conntrack', 'conntrack'],
  ['/usr/sbin/nginx', 'nginx-light'],
  ['/bin/ip', 'iproute2'],
];

function must(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed`);
}

function start(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

async function onOwnCluster(): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error('a cluster of its own needs root; or give a cluster with KUBECONFIG or HFI_TEST_CONTEXT');
  const missing = PROGRAMS.filter(([path]) => !existsSync(path)).map(([, debian]) => debian);
  if (missing.length > 0) {
    // Nothing of it is to be started.
    const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    must('apt-get', ['-qq', 'update'], env);
    must('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...missing], env);
  }
  must('bash', [join(ROOT, 'test', 'cluster', 'binaries.sh'), join(ROOT, '.hfi', 'cluster', 'bin')]);
  await findBinary('envoy');
  makeNetwork();
  try {
    return await start('nsenter', [
      `--net=/var/run/netns/${NETNS}`,
      process.execPath,
      join(ROOT, 'test', 'cluster', 'inside.ts'),
      ...process.argv.slice(2),
    ]);
  } finally {
    removeNetwork();
  }
}

const given = process.env.KUBECONFIG !== undefined || process.env.HFI_TEST_CONTEXT !== undefined;
process.exit(given ? await start(process.execPath, [join(ROOT, 'test', 'run.ts'), 'cluster']) : await onOwnCluster());
