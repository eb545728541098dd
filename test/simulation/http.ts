import type { Network } from './network.ts';
import type { Scheduler } from './scheduler.ts';

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  /** When the server gave it away. */
  readonly sentAt: number;
  /** Which start of which replica answered; empty when none did. */
  readonly by: string;
}

/** A server as clients reach it. */
export interface Server {
  readonly name: string;
  /** Names the present start; undefined when nobody listens. */
  readonly start: string | undefined;
  /** Called back with the answer, or never when the process is killed. */
  serve(request: HttpRequest, signal: AbortSignal, answer: (answer: HttpAnswer) => void): void;
  /** Calls back when the process is killed, and so its connections break. */
  onKill(broken: () => void): () => void;
}

const REFUSED: HttpAnswer = { status: 503, headers: [[':status', '503']], body: new Uint8Array(), sentAt: 0, by: '' };

/**
 * Asks a server over the network.
 *
 * @param done called once: with the answer, with a 503 by nobody when the connection fails, or with undefined when the time is over
 */
export function askOver(
  { scheduler, network }: { readonly scheduler: Scheduler; readonly network: Network },
  from: string,
  server: Server,
  request: HttpRequest,
  timeoutMs: number,
  done: (answer: HttpAnswer | undefined) => void,
): void {
  let over = false;
  const leave = new AbortController();
  const end = (answer: HttpAnswer | undefined): void => {
    if (over) return;
    over = true;
    cancel();
    done(answer);
  };
  const cancel = scheduler.after(timeoutMs, () => {
    end(undefined);
    network.send(from, server.name, () => leave.abort());
  });
  const arrive = (): void => {
    if (server.start === undefined) {
      network.send(server.name, from, () => end(REFUSED));
      return;
    }
    const ignore = server.onKill(() => network.send(server.name, from, () => end(REFUSED)));
    server.serve(request, leave.signal, (answer) => {
      ignore();
      network.send(server.name, from, () => end(answer));
    });
  };
  network.send(from, server.name, arrive);
  if (from !== 'writer' && network.twice()) network.send(from, server.name, arrive);
}
