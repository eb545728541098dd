import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { type CertificateFiles, writeCertificates } from './certificates.ts';
import { type Processes, until } from './processes.ts';

/** A real etcd of several members on this machine, with the stack's certificates between them and for clients. */
export class EtcdMembers {
  /** One URL a member. */
  readonly endpoints: readonly string[];
  /** What a client shows. */
  readonly client: CertificateFiles;
  readonly #children: ChildProcess[];

  private constructor(endpoints: readonly string[], client: CertificateFiles, children: ChildProcess[]) {
    this.endpoints = endpoints;
    this.client = client;
    this.#children = children;
  }

  static async start(processes: Processes, count: number): Promise<EtcdMembers> {
    const { path } = await findBinary('etcd');
    const ports = await freePorts(3 * count);
    const folder = join(processes.folder, `etcd-members-${ports[0]}`);
    mkdirSync(folder);
    const { server, client } = await writeCertificates(folder);
    const tls = (prefix: string): string[] => [
      ...[`--${prefix}cert-file=${server.cert}`, `--${prefix}key-file=${server.key}`],
      ...[`--${prefix}trusted-ca-file=${server.ca}`, `--${prefix}client-cert-auth=true`],
    ];
    const members = Array.from({ length: count }, (_, i) => ({
      name: `member-${i}`,
      clients: `https://localhost:${ports[i]}`,
      peers: `https://localhost:${ports[count + i]}`,
      health: `http://127.0.0.1:${ports[2 * count + i]}`,
    }));
    const children = members.map(({ name, clients, peers, health }) =>
      processes.start(path, [
        ...[`--name=${name}`, `--data-dir=${join(folder, name)}`, '--logger=zap', '--log-level=error'],
        ...[`--listen-client-urls=${address(clients)}`, `--advertise-client-urls=${clients}`, `--listen-metrics-urls=${health}`],
        ...[`--listen-peer-urls=${address(peers)}`, `--initial-advertise-peer-urls=${peers}`],
        `--initial-cluster=${members.map((one) => `${one.name}=${one.peers}`).join(',')}`,
        ...tls(''),
        ...tls('peer-'),
      ]),
    );
    for (const { name, health } of members) {
      await until(async () => (await fetch(`${health}/health`).catch(() => undefined))?.ok === true, `etcd's ${name} answers`);
    }
    return new EtcdMembers(
      members.map(({ clients }) => clients),
      client,
      children,
    );
  }

  /** Stops a member for a while: it stays in the list and answers nothing. */
  pause(member: number): void {
    this.#children[member]?.kill('SIGSTOP');
  }

  resume(member: number): void {
    this.#children[member]?.kill('SIGCONT');
  }
}

/** etcd listens on addresses only. */
function address(url: string): string {
  return url.replace('localhost', '127.0.0.1');
}
