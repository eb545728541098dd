import { join } from 'node:path';
import { freePorts } from '../../../cli/sandbox/ports.ts';
import { type Processes, until } from '../../support/processes.ts';

const PROGRAM = join(import.meta.dirname, 'bare-hono.ts');

/** A Hono server that holds polls and wakes them, and does nothing else. */
export class BareHono {
  readonly port: number;
  readonly #url: string;

  private constructor(port: number) {
    this.port = port;
    this.#url = `http://127.0.0.1:${port}`;
  }

  static async start(processes: Processes): Promise<BareHono> {
    const [port = 0] = await freePorts(1);
    const bare = new BareHono(port);
    processes.start(process.execPath, [PROGRAM, String(port)]);
    await until(async () => (await bare.held(0).catch(() => false)) !== false, 'bare Hono answers');
    return bare;
  }

  async wake(count: number): Promise<void> {
    await fetch(`${this.#url}/wake?count=${count}`, { method: 'POST' });
  }

  /** Waits until so many polls are held. */
  async held(count: number): Promise<void> {
    await fetch(`${this.#url}/held?count=${count}`);
  }
}
