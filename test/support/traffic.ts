import { Agent } from 'node:http';
import { send } from './load.ts';

/** Clients of one proxy that go on until they are told to stop, and what they saw. */
export class Traffic {
  readonly statuses = new Map<number, number>();
  readonly #agent: Agent;
  #going = true;
  readonly #clients: Promise<void>[];

  constructor(url: string, clients: number, pauseMs = 0) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: clients });
    this.#clients = Array.from({ length: clients }, async () => {
      while (this.#going) {
        const { status } = await send(url, { agent: this.#agent });
        this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    });
  }

  get faulted(): number {
    return this.statuses.get(503) ?? 0;
  }

  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }
}
