import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { LAYOUT_VERSION } from '../../filter/assembly/layout.ts';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { type Processes, until } from './processes.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'services', 'control-plane', 'main.ts');

/** Tokens of every role, known to every replica of the tests. */
export const TOKENS = {
  admin: 'admin-token-0123456789',
  editor: 'editor-token-0123456789',
  viewer: 'viewer-token-0123456789',
  proxy: 'proxy-token-0123456789',
} as const;
export type Role = keyof typeof TOKENS;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Options {
  readonly replica?: string;
  readonly program?: string;
  /** Where it listens; a free port if not given. */
  readonly port?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Whether to wait until it is ready; false when etcd is not there. */
  readonly ready?: boolean;
}

/** A real replica of the control plane, as a process of its own. */
export class Replica {
  readonly url: string;
  readonly port: number;
  readonly child: ChildProcess;
  readonly #processes: Processes;
  #log = '';

  private constructor(processes: Processes, port: number, child: ChildProcess) {
    this.#processes = processes;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#log += bytes.toString();
      });
    }
  }

  static async start(processes: Processes, etcdUrl: string, options: Options = {}): Promise<Replica> {
    const port = options.port ?? (await freePorts(1))[0] ?? 0;
    const tokensFile = join(processes.folder, 'tokens.json');
    writeFileSync(tokensFile, JSON.stringify(Object.entries(TOKENS).map(([role, token]) => ({ name: `the-${role}`, role, token }))), {
      mode: 0o600,
    });
    const name = options.replica ?? `replica-${port}`;
    const child = processes.start(process.execPath, [options.program ?? MAIN], undefined, {
      HFI_LISTEN: `127.0.0.1:${port}`,
      HFI_ETCD_ENDPOINTS: etcdUrl,
      HFI_TOKENS_FILE: tokensFile,
      HFI_REPLICA: name,
      HFI_ADVERTISE_URL: `http://127.0.0.1:${port}`,
      ...options.env,
    });
    const replica = new Replica(processes, port, child);
    const path = options.ready === false ? '/healthz' : '/readyz';
    await until(async () => (await fetch(`${replica.url}${path}`).catch(() => undefined))?.ok === true, `replica ${name} answers ${path}`);
    return replica;
  }

  /** Everything that it wrote so far. */
  get log(): string {
    return this.#log;
  }

  /** Sends a request; a body that is no string goes as JSON. */
  async ask(
    method: string,
    path: string,
    ask: { role?: Role | 'none'; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<Reply> {
    const role = ask.role ?? 'admin';
    const json = ask.body !== undefined && typeof ask.body !== 'string';
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(role === 'none' ? {} : { authorization: `Bearer ${TOKENS[role]}` }),
        ...(ask.body === undefined ? {} : { 'content-type': json ? 'application/json' : 'application/yaml' }),
        ...ask.headers,
      },
      ...(ask.body === undefined ? {} : { body: json ? JSON.stringify(ask.body) : (ask.body as string) }),
      ...(ask.signal === undefined ? {} : { signal: ask.signal }),
    });
    const text = await answer.text();
    const isJson = /json/.test(answer.headers.get('content-type') ?? '');
    return { status: answer.status, headers: answer.headers, text, body: isJson ? JSON.parse(text) : {} };
  }

  put(name: string, spec: PolicyInput['spec'], headers: Record<string, string> = {}): Promise<Reply> {
    return this.ask('PUT', `/v1/policies/${name}`, { body: { metadata: { name }, spec }, headers });
  }

  /** A proxy's poll. */
  poll(
    proxy: {
      name?: string;
      namespace?: string;
      labels?: string;
      has?: string;
      wait?: number;
      headers?: Record<string, string>;
      signal?: AbortSignal;
    } = {},
  ): Promise<Reply> {
    return this.ask('GET', '/v1/ruleset', {
      role: 'proxy',
      headers: {
        'x-hfi-proxy': proxy.name ?? 'proxy-1',
        'x-hfi-namespace': proxy.namespace ?? 'demo',
        'x-hfi-workload': 'frontend-v1',
        'x-hfi-labels': proxy.labels ?? 'app=frontend',
        'x-hfi-layout': String(LAYOUT_VERSION),
        'x-hfi-lease-ms': '60000',
        prefer: `wait=${proxy.wait ?? 0}`,
        ...(proxy.has === undefined ? {} : { 'if-none-match': proxy.has, 'x-hfi-acknowledged': proxy.has.replaceAll('"', '') }),
        ...proxy.headers,
      },
      ...(proxy.signal === undefined ? {} : { signal: proxy.signal }),
    });
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    return this.#processes.kill(this.child, signal);
  }
}
