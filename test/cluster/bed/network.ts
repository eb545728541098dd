import { existsSync } from 'node:fs';
import { run } from './commands.ts';

/** The bed's own network: nothing of it is seen outside its namespace. */
export const NETNS = 'hfi-node';
/** The node, in a range that is kept for benchmarks (RFC 2544). */
export const NODE_IP = '198.18.0.1';
export const POD_SUBNET = '198.18.0.0/24';
export const SERVICE_SUBNET = '198.19.0.0/24';
export const BRIDGE = 'br0';

export function makeNetwork(): void {
  removeNetwork();
  run('ip', ['netns', 'add', NETNS]);
  const inside = (...args: string[]): string => run('ip', ['-n', NETNS, ...args]);
  inside('link', 'set', 'lo', 'up');
  inside('link', 'add', BRIDGE, 'type', 'bridge');
  inside('addr', 'add', `${NODE_IP}/24`, 'dev', BRIDGE);
  inside('link', 'set', BRIDGE, 'up');
  // The node's own requests to Services are turned to a pod only after they had a route.
  inside('route', 'add', SERVICE_SUBNET, 'dev', BRIDGE);
  run('ip', ['netns', 'exec', NETNS, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  // Without it, traffic between two pods of the bridge goes past the rules for Services.
  try {
    run('ip', ['netns', 'exec', NETNS, 'sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=1']);
  } catch {
    process.stderr.write('this kernel has no bridge-nf-call-iptables\n');
  }
}

export function removeNetwork(): void {
  if (!existsSync(`/var/run/netns/${NETNS}`)) return;
  for (const name of run('ip', ['netns', 'list'])
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((one) => one === NETNS || one.startsWith('cni-'))) {
    for (const pid of run('ip', ['netns', 'pids', name]).split('\n').filter(Boolean)) {
      if (Number(pid) !== process.pid) process.kill(Number(pid), 'SIGKILL');
    }
    run('ip', ['netns', 'del', name]);
  }
}
