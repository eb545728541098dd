import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { NODE_OPTIONS } from '../../components/node-options.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { type Processes, until } from '../support/processes.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'control-plane', 'main.cjs');

/** The control plane limits the changes of one token; the benchmark takes turns with as many users as a busy team has. */
const EDITORS = 32;

/** A real etcd and a real control plane. */
export class Stack {
  readonly etcdUrl: string;
  readonly port: number;
  /** What a proxy shows. */
  readonly proxyToken: string;
  readonly adminToken: string;
  readonly #editors: readonly string[];
  readonly #agent = new Agent({ keepAlive: true });
  readonly #processes: Processes;
  readonly #start: () => ReturnType<Processes['start']>;
  #controlPlane: ReturnType<Processes['start']>;
  #turn = 0;

  private constructor(
    processes: Processes,
    etcdUrl: string,
    port: number,
    tokens: { readonly proxy: string; readonly admin: string; readonly editors: readonly string[] },
    start: () => ReturnType<Processes['start']>,
  ) {
    this.#processes = processes;
    this.etcdUrl = etcdUrl;
    this.port = port;
    this.proxyToken = tokens.proxy;
    this.adminToken = tokens.admin;
    this.#editors = tokens.editors;
    this.#start = start;
    this.#controlPlane = start();
  }

  static async start(processes: Processes): Promise<Stack> {
    const [client = 0, peer = 0, port = 0] = await freePorts(3);
    const etcdUrl = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    const { path } = await findBinary('etcd');
    processes.start(path, [
      ...['--data-dir', join(processes.folder, 'etcd'), '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', etcdUrl, '--advertise-client-urls', etcdUrl, '--listen-peer-urls', peerUrl],
      ...['--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `default=${peerUrl}`],
    ]);
    await until(() => isOk(`${etcdUrl}/health`), 'etcd answers');
    const editors = Array.from({ length: EDITORS }, secret);
    const [proxy, admin] = [secret(), secret()];
    const tokensFile = join(processes.folder, 'tokens.json');
    const tokens = [
      ...editors.map((token, i) => ({ name: `editor-${i}`, role: 'editor', token })),
      { name: 'mesh', role: 'proxy', token: proxy },
      { name: 'boss', role: 'admin', token: admin },
    ];
    await writeFile(tokensFile, JSON.stringify(tokens), { mode: 0o600 });
    const stack = new Stack(processes, etcdUrl, port, { proxy, admin, editors }, () =>
      processes.start(process.execPath, [MAIN], undefined, {
        HFI_LISTEN: `127.0.0.1:${port}`,
        HFI_ETCD_ENDPOINTS: etcdUrl,
        HFI_TOKENS_FILE: tokensFile,
        HFI_LOG_LEVEL: 'error',
        NODE_OPTIONS,
      }),
    );
    await stack.#ready();
    return stack;
  }

  /** The control plane's process. */
  get pid(): number {
    return this.#controlPlane.pid;
  }

  /** Kills the control plane and starts it again. @returns when the new one was started, by `performance.now()` */
  async restart(): Promise<number> {
    await this.#processes.kill(this.#controlPlane);
    const started = performance.now();
    this.#controlPlane = this.#start();
    await this.#ready();
    return started;
  }

  async #ready(): Promise<void> {
    await until(() => isOk(`http://127.0.0.1:${this.port}/readyz`), 'the control plane is ready');
  }

  /** Creates or replaces a policy. @throws Error when the control plane doesn't take it */
  async put(name: string, spec: PolicyInput['spec']): Promise<void> {
    await this.#send('PUT', `/v1/policies/${name}`, { metadata: { name }, spec }, [200, 201]);
  }

  async create(name: string, spec: PolicyInput['spec']): Promise<void> {
    await this.#send('POST', '/v1/policies', { metadata: { name }, spec }, [201]);
  }

  async delete(name: string): Promise<void> {
    await this.#send('DELETE', `/v1/policies/${name}`, undefined, [200]);
  }

  /** Asks the control plane as an admin. @returns the answer's body */
  async ask(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
    const text = await this.#send(method, path, body, [200, 201, 202], this.adminToken, headers);
    return JSON.parse(text) as Record<string, unknown>;
  }

  stop(): void {
    this.#agent.destroy();
  }

  #send(
    method: string,
    path: string,
    body: object | undefined,
    good: readonly number[],
    token = this.#editors[this.#turn++ % EDITORS] ?? '',
    headers: Record<string, string> = {},
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          port: this.port,
          host: '127.0.0.1',
          method,
          path,
          agent: this.#agent,
          headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }), ...headers },
        },
        (response) => {
          let text = '';
          response.on('data', (chunk) => {
            text += chunk;
          });
          response.on('end', () => {
            if (good.includes(response.statusCode ?? 0)) resolve(text);
            else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
          });
        },
      );
      sent.on('error', reject);
      sent.end(body && JSON.stringify(body));
    });
  }
}

function secret(): string {
  return randomBytes(24).toString('base64url');
}

async function isOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
