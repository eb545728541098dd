import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { images } from '../../../components/images.ts';
import { type Daemons, run } from './commands.ts';
import { type Image, writeImage } from './images.ts';
import { BRIDGE, NODE_IP, POD_SUBNET } from './network.ts';

const PAUSE = 'hfi.local/pause:1';
export const PROXY_IMAGE = { hub: 'hfi.local', tag: '1' };

export interface Binaries {
  /** Folder with what `binaries.sh` builds. */
  readonly built: string;
  readonly envoy: string;
  readonly node: string;
  /** Envoy's bootstrap as pilot-agent fills it in. */
  readonly bootstrapTemplate: string;
}

/** containerd of the bed's own, with a bridge for pods, in `folder`. */
export class Containers {
  readonly #folder: string;
  readonly socket: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.socket = join(folder, 'containerd.sock');
  }

  start(daemons: Daemons): void {
    const path = (name: string): string => join(this.#folder, name);
    mkdirSync(path('cni'), { recursive: true });
    writeFileSync(
      path('cni/10-bridge.conflist'),
      JSON.stringify({
        cniVersion: '0.4.0',
        name: 'hfi',
        plugins: [
          {
            type: 'bridge',
            bridge: BRIDGE,
            ipam: {
              type: 'host-local',
              ranges: [[{ subnet: POD_SUBNET, rangeStart: '198.18.0.20', rangeEnd: '198.18.0.250', gateway: NODE_IP }]],
              routes: [{ dst: '0.0.0.0/0' }],
              dataDir: path('cni-data'),
            },
          },
          { type: 'loopback' },
        ],
      }),
    );
    writeFileSync(
      path('containerd.toml'),
      `version = 2
root = "${path('containerd')}"
state = "${path('containerd-state')}"
[grpc]
  address = "${this.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${path('cni')}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`,
    );
    daemons.start('containerd', 'containerd', ['-c', path('containerd.toml')]);
  }

  isUp(): boolean {
    try {
      this.#ctr('images', 'ls', '-q');
      return true;
    } catch {
      return false;
    }
  }

  /** Makes the images that are not there yet. */
  load(binaries: Binaries): void {
    const there = this.#ctr('images', 'ls', '-q').split('\n');
    for (const image of imagesOf(binaries)) {
      if (there.includes(image.name)) continue;
      const archive = join(this.#folder, 'image.tar');
      writeImage(image, archive);
      this.#ctr('images', 'import', archive);
      rmSync(archive);
    }
  }

  /** Ends every container, so that nothing of it stays mounted or running. */
  removeAll(): void {
    if (!existsSync(this.socket)) return;
    try {
      for (const task of this.#ctr('tasks', 'ls', '-q').split('\n').filter(Boolean)) {
        try {
          this.#ctr('tasks', 'rm', '-f', task);
        } catch {
          // It ended by itself meanwhile.
        }
      }
    } catch (error) {
      process.stderr.write(`${String(error)}\n`);
    }
  }

  #ctr(...args: string[]): string {
    return run('ctr', ['-a', this.socket, '-n', 'k8s.io', ...args]);
  }
}

/** Unmounts what containerd and the kubelet left mounted below a folder. */
export function unmountBelow(folder: string): void {
  const mounted = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place.startsWith(`${folder}/`));
  for (const place of mounted.sort().reverse()) {
    try {
      run('umount', ['-l', place]);
    } catch (error) {
      process.stderr.write(`${String(error)}\n`);
    }
  }
}

function imagesOf({ built, envoy, node, bootstrapTemplate }: Binaries): Image[] {
  const coreutils = { '/usr/bin/sleep': '/bin/sleep', '/usr/bin/tar': '/bin/tar', '/usr/bin/gzip': '/bin/gzip' };
  const xtables = '/usr/lib/x86_64-linux-gnu/xtables';
  const tables = ['iptables', 'iptables-save', 'iptables-restore', 'ip6tables', 'ip6tables-save', 'ip6tables-restore'];
  return [
    { name: PAUSE, files: { '/usr/bin/sleep': '/bin/sleep' }, entrypoint: ['/usr/bin/sleep', 'infinity'] },
    { name: images.node, files: { '/usr/local/bin/node': node, ...coreutils } },
    {
      name: images.nginx,
      files: { '/usr/sbin/nginx': '/usr/sbin/nginx', '/usr/bin/sleep': '/bin/sleep' },
      folders: ['var/log/nginx', 'var/lib/nginx', 'usr/share/nginx/wasm', 'etc/hfi'],
    },
    { name: images.etcd, files: { '/usr/local/bin/etcd': join(built, 'etcd') }, folders: ['etc/hfi'] },
    {
      name: `${PROXY_IMAGE.hub}/proxyv2:${PROXY_IMAGE.tag}`,
      user: '1337',
      entrypoint: ['/usr/local/bin/pilot-agent'],
      files: {
        '/usr/local/bin/pilot-agent': join(built, 'pilot-agent'),
        '/usr/local/bin/envoy': envoy,
        '/var/lib/istio/envoy/envoy_bootstrap_tmpl.json': bootstrapTemplate,
        ...Object.fromEntries(tables.map((name) => [`/usr/sbin/${name}`, '/usr/sbin/xtables-legacy-multi'])),
        ...Object.fromEntries(
          run('ls', [xtables])
            .split('\n')
            .filter((name) => /^lib(xt|ipt|ip6t)_/.test(name))
            .map((name) => [`${xtables}/${name}`, `${xtables}/${name}`]),
        ),
      },
    },
  ];
}
