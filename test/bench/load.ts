import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request as services send it: ten headers of about 30 bytes besides `host`. */
export const REQUEST_HEADERS: readonly (readonly [string, string])[] = [
  ['user-agent', 'bench-client/1.0 x86'],
  ['accept', 'application/json, text/*'],
  ['accept-language', 'en-GB,en;q=0.8'],
  ['x-request-id', '4f2b8a60-91d3-4c'],
  ['x-user', 'somebody-of-the-tests'],
  ['x-tenant', 'tenant-of-the-benches'],
  ['x-b3-traceid', '463ac35c9f6413ad48'],
  ['x-b3-spanid', 'a2fb4a1d1a96d312ab'],
  ['x-session', 'c2Vzc2lvbi1vZi10ZXN0'],
  ['x-client-version', '2026.11.23-1'],
];

/** The same with headers of 100 bytes each, names included. */
export const LARGE_HEADERS: readonly (readonly [string, string])[] = REQUEST_HEADERS.map(([name, value]) => [
  name,
  value.repeat(10).slice(0, 100 - name.length),
]);

function requestWith(headers: readonly (readonly [string, string])[]): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`GET /api/orders/42 HTTP/1.1\r\nhost: bench.local\r\n${lines.join('')}\r\n`);
}

const REQUEST = requestWith(REQUEST_HEADERS);
/** The request with headers of 100 bytes. */
export const LARGE_REQUEST = requestWith(LARGE_HEADERS);

/** A keep-alive connection that sends one request at a time and reads only the status: the least work a client can do. */
export class Connection {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #head = '';
  #bodyLeft = -1;
  #status = 0;
  #done: ((status: number) => void) | undefined;

  private constructor(socket: Socket, request: Buffer) {
    this.#socket = socket;
    this.#request = request;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('close', () => this.#done?.(0));
    socket.on('error', () => {});
  }

  static open(port: number, request: Buffer = REQUEST): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new Connection(socket, request)));
    });
  }

  /** Sends the request. @returns the answer's status; 0 when the connection failed */
  send(): Promise<number> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(this.#request);
    });
  }

  /** The same without a promise, for those who count every microsecond. */
  sendThen(done: (status: number) => void): void {
    this.#done = done;
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#done = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#bodyLeft < 0) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /content-length: (\d+)/.exec(this.#head);
      this.#status = Number(this.#head.slice(9, 12));
      this.#bodyLeft = Number(length?.[1] ?? 0) - (this.#head.length - end - 4);
    } else {
      this.#bodyLeft -= chunk.length;
    }
    if (this.#bodyLeft > 0) return;
    this.#head = '';
    this.#bodyLeft = -1;
    const done = this.#done;
    this.#done = undefined;
    done?.(this.#status);
  }
}

export function openMany(port: number, count: number, request?: Buffer): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => Connection.open(port, request)));
}

/** Sends `count` requests over the connections, each one at a time, as fast as it goes. @returns how often each status came */
export function drive(connections: readonly Connection[], count: number): Promise<Map<number, number>> {
  return new Promise((resolve) => {
    const statuses = new Map<number, number>();
    let sent = 0;
    let answered = 0;
    const next = (connection: Connection): void => {
      sent++;
      connection.sendThen((status) => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (++answered === count) resolve(statuses);
        else if (sent < count) next(connection);
      });
    };
    for (const connection of connections) if (sent < count) next(connection);
  });
}

/**
 * Sends at a steady rate whatever the answers do (open loop), each request on an idle connection.
 *
 * @returns milliseconds from the sending to the answer, in any order
 */
export async function driveAtRate(port: number, perSecond: number, count: number, most: number): Promise<number[]> {
  const idle = await openMany(port, most);
  const all = [...idle];
  const times: number[] = [];
  const begun = performance.now();
  let sent = 0;
  while (times.length < count) {
    const due = Math.min(count, Math.floor(((performance.now() - begun) / 1000) * perSecond) + 1);
    while (sent < due) {
      const connection = idle.pop();
      if (connection === undefined) break;
      sent++;
      const from = performance.now();
      connection.sendThen(() => {
        times.push(performance.now() - from);
        idle.push(connection);
      });
    }
    await sleep(1);
  }
  for (const connection of all) connection.close();
  return times;
}
