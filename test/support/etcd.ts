import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { type Processes, until } from './processes.ts';

/** A real etcd, whose data stay when it is stopped and started again. */
export class Etcd {
  readonly url: string;
  readonly port: number;
  readonly #peerUrl: string;
  readonly #processes: Processes;
  readonly #data: string;
  readonly #flags: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(processes: Processes, port: number, peerPort: number, data: string, flags: readonly string[]) {
    this.#processes = processes;
    this.#data = data;
    this.#flags = flags;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#peerUrl = `http://127.0.0.1:${peerPort}`;
  }

  /**
   * @param data a folder with data that are there already
   * @param flags more of etcd's own
   */
  static async start(processes: Processes, data?: string, flags: readonly string[] = []): Promise<Etcd> {
    const [port = 0, peer = 0] = await freePorts(2);
    const etcd = new Etcd(processes, port, peer, data ?? join(processes.folder, `etcd-${port}`), flags);
    await etcd.start();
    return etcd;
  }

  async start(): Promise<void> {
    const { path } = await findBinary('etcd');
    this.#child = this.#processes.start(path, [
      ...['--data-dir', this.#data, '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', this.url, '--advertise-client-urls', this.url, '--listen-peer-urls', this.#peerUrl],
      ...['--initial-advertise-peer-urls', this.#peerUrl, '--initial-cluster', `default=${this.#peerUrl}`],
      ...this.#flags,
    ]);
    await until(async () => (await fetch(`${this.url}/health`).catch(() => undefined))?.ok === true, 'etcd answers');
  }

  /** Stops it where it is, as a paused machine does, until `thaw`. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Kills it, as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    await this.#processes.kill(child);
    this.#child = undefined;
  }

  /** Kills it and takes its data away: the next start is another history. */
  async lose(): Promise<void> {
    await this.kill();
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** Asks it to forget history up to now. */
  async compact(): Promise<void> {
    const call = async (path: string, body: object): Promise<{ header?: { revision: string } }> => {
      const answer = await fetch(`${this.url}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
      return (await answer.json()) as { header?: { revision: string } };
    };
    const { header } = await call('kv/range', { key: Buffer.from('x').toString('base64') });
    await call('kv/compaction', { revision: header?.revision, physical: true });
  }
}
