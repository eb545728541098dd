import { connect, type Socket } from 'node:net';
import { LAYOUT_VERSION } from '../../../filter/assembly/layout.ts';
import {
  HEADER_ACKNOWLEDGED,
  HEADER_FILTER,
  HEADER_LABELS,
  HEADER_LAYOUT_VERSION,
  HEADER_LEASE,
  HEADER_NAMESPACE,
  HEADER_PROXY,
  HEADER_REVISION,
  HEADER_VMS,
  HEADER_WORKLOAD,
  RULESET_PATH,
} from '../../../filter/assembly/protocol.ts';

/** As the filter: the first pause after a failure, and the longest, in milliseconds (`filter/assembly/poll.ts`). */
const FIRST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 5000;
const WAIT_SECONDS = 25;
const LEASE_MS = 60_000;

export interface Watcher {
  /** It got a ruleset. */
  took(proxy: SimulatedProxy): void;
  /** It was answered at all. */
  answered(proxy: SimulatedProxy): void;
  /** It was answered with an error, or its connection failed. */
  failed(proxy: SimulatedProxy, why: string): void;
}

/** A proxy's long poll as the filter does it, over a connection of its own, with the least work that a client can do. */
export class SimulatedProxy {
  readonly name: string;
  readonly namespace: string;
  readonly #head: string;
  readonly #port: number;
  readonly #watcher: Watcher;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #received = '';
  #bodyLeft = -1;
  #version = '';
  #revision = '';
  #backoffMs = 0;
  #closed = false;

  constructor(name: string, namespace: string, port: number, token: string, watcher: Watcher) {
    this.name = name;
    this.namespace = namespace;
    this.#port = port;
    this.#watcher = watcher;
    const headers = {
      host: 'hfi-control-plane:8080',
      authorization: `Bearer ${token}`,
      [HEADER_PROXY]: name,
      [HEADER_NAMESPACE]: namespace,
      [HEADER_WORKLOAD]: 'frontend-v1',
      [HEADER_LABELS]: 'app=frontend,version=v1,pod-template-hash=7d4b9c8f6d',
      [HEADER_FILTER]: '0.1.0',
      [HEADER_LAYOUT_VERSION]: String(LAYOUT_VERSION),
      [HEADER_LEASE]: String(LEASE_MS),
      [HEADER_VMS]: '3',
    };
    const lines = Object.entries(headers).map(([header, value]) => `${header}: ${value}\r\n`);
    this.#head = `GET ${RULESET_PATH} HTTP/1.1\r\n${lines.join('')}`;
  }

  /** Connects and polls, over and over until `close`. */
  start(): void {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('connect', () => this.#poll());
    socket.on('data', (text) => this.#take(String(text)));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#socket === socket) this.#lost(error.code ?? error.message);
    });
    socket.on('close', () => {
      if (this.#socket === socket) this.#lost('closed');
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  #poll(): void {
    const has = this.#version;
    const known = has === '' ? '' : `if-none-match: "${has}"\r\n${HEADER_ACKNOWLEDGED}: ${has}\r\n`;
    // As the filter: only an answer renews the lease, so that after a failure it asks for one at once.
    const prefer = `prefer: wait=${this.#backoffMs === 0 ? WAIT_SECONDS : 0}\r\n`;
    const revision = this.#revision === '' ? '' : `${HEADER_REVISION}: ${this.#revision}\r\n`;
    this.#socket?.write(`${this.#head}${prefer}${known}${revision}\r\n`);
  }

  #take(text: string): void {
    this.#received += text;
    if (this.#bodyLeft < 0) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(this.#received)?.[1];
      this.#bodyLeft = end + 4 + Number(length ?? 0);
    }
    if (this.#received.length < this.#bodyLeft) return;
    const answer = this.#received;
    this.#received = '';
    this.#bodyLeft = -1;
    this.#answered(answer);
  }

  #answered(answer: string): void {
    const status = answer.slice(9, 12);
    if (status !== '200' && status !== '304') {
      this.#watcher.failed(this, status);
      this.#later(() => this.#poll());
      return;
    }
    this.#backoffMs = 0;
    this.#revision = new RegExp(`\r\n${HEADER_REVISION}: (\\d+)`, 'i').exec(answer)?.[1] ?? this.#revision;
    this.#watcher.answered(this);
    if (status === '200') {
      this.#version = /\r\netag: "([^"]+)"/i.exec(answer)?.[1] ?? '';
      this.#watcher.took(this);
    }
    this.#poll();
  }

  #lost(why: string): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#received = '';
    this.#bodyLeft = -1;
    if (this.#closed) return;
    this.#watcher.failed(this, why);
    this.#later(() => this.start());
  }

  #later(task: () => void): void {
    this.#backoffMs = this.#backoffMs === 0 ? FIRST_BACKOFF_MS : Math.min(this.#backoffMs * 2, MOST_BACKOFF_MS);
    this.#timer = setTimeout(task, this.#backoffMs * (0.5 + Math.random() / 2));
  }
}
