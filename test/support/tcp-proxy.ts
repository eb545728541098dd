import { createServer, type Server, Socket } from 'node:net';

/** Stands between a client and a server, and breaks the line in the ways that real networks do. */
export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs: Set<{ client: Socket; server: Socket }>;
  #stalled: 'none' | 'to-server' | 'to-client' | 'both' = 'none';
  #refusing = false;
  #change: (bytes: Buffer) => Buffer = (bytes) => bytes;
  #delayMs = 0;
  /** Connections that stand and through which nothing comes any more. */
  readonly #halfOpen = new WeakSet<Socket>();

  private constructor(server: Server, port: number, pairs: Set<{ client: Socket; server: Socket }>) {
    this.#server = server;
    this.port = port;
    this.#pairs = pairs;
  }

  static start(target: number): Promise<TcpProxy> {
    const pairs = new Set<{ client: Socket; server: Socket }>();
    return new Promise((resolve) => {
      // What waits for more to send with it makes a line slow that isn't meant to be.
      const listener = createServer({ noDelay: true }, (client) => proxy.#join(client, target));
      const proxy: TcpProxy = new TcpProxy(listener, 0, pairs);
      listener.listen(0, '127.0.0.1', () => {
        const address = listener.address();
        Object.assign(proxy, { port: typeof address === 'object' && address !== null ? address.port : 0 });
        resolve(proxy);
      });
    });
  }

  /** Closes every connection, and refuses new ones until `pass`. */
  cut(): void {
    this.#refusing = true;
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Lets connections stand but nothing through, in one direction or both: a half-open line. New connections stall too. */
  stall(direction: 'to-server' | 'to-client' | 'both'): void {
    this.#stalled = direction;
  }

  /** Makes the connections that stand half-open for good: nothing comes through and nobody is told. New ones pass. */
  halfOpen(): void {
    for (const { client } of this.#pairs) this.#halfOpen.add(client);
  }

  /** Sends the client something else than what the server said. */
  alter(change: (bytes: Buffer) => Buffer): void {
    this.#change = change;
  }

  /** Lets the server seem slow: what the client says arrives so much later, in order. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Passes everything again. What stalled before is lost: those connections are closed, as a router does that forgot them. */
  pass(): void {
    this.#refusing = false;
    if (this.#stalled !== 'none') {
      for (const { client, server } of this.#pairs) {
        client.destroy();
        server.destroy();
      }
    }
    this.#stalled = 'none';
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(client: Socket, target: number): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const server = new Socket().setNoDelay().connect(target, '127.0.0.1');
    const pair = { client, server };
    this.#pairs.add(pair);
    client.on('data', (bytes) => {
      if (this.#stalled === 'to-server' || this.#stalled === 'both' || this.#halfOpen.has(client)) return;
      if (this.#delayMs === 0) server.write(bytes);
      else setTimeout(() => server.write(bytes), this.#delayMs);
    });
    server.on('data', (bytes) => {
      if (this.#stalled !== 'to-client' && this.#stalled !== 'both' && !this.#halfOpen.has(client)) client.write(this.#change(bytes));
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
    }
  }
}
