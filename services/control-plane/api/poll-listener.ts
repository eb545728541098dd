import type { IncomingMessage, ServerResponse } from 'node:http';
import { RULESET_PATH } from '../../../filter/assembly/protocol.ts';
import type { Caller } from '../access/caller.ts';
import type { Proof } from '../access/tokens.ts';
import type { Leaving } from '../fleet/proxy.ts';
import { asProblem } from './as-problem.ts';
import type { Asking } from './asking.ts';
import { admittedProxy } from './identify.ts';
import { noteAnswer, ownHeaders } from './observe.ts';
import type { Parts } from './parts.ts';
import { answerPoll, type PollReply } from './poll.ts';
import { problemReply } from './problem.ts';

/** Answers a request, if it is for it. @returns whether it is */
export type Listens = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * The proxies' long poll straight from Node's HTTP server. Ten thousand of them are held at a time and answered at once, and what Hono makes for each, a
 * `Request`, its `Headers`, a checked copy of these and a `Response`, was most of their memory and time.
 */
export function pollListener(parts: Parts): Listens {
  return (request, response) => {
    if (request.method !== 'GET' || request.url !== RULESET_PATH) return false;
    void serve(parts, request, response);
    return true;
  };
}

async function serve(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const start = parts.runtime.clock.elapsed();
  const asking = new NodeAsking(request, response);
  let actor: Caller | undefined;
  let reply: PollReply | ReturnType<typeof problemReply>;
  try {
    actor = await admittedProxy(asking, parts.tokens, 'polls');
    reply = await answerPoll(parts, asking, actor);
  } catch (error) {
    reply = problemReply(asProblem(error, 'GET', parts));
  }
  const { status, headers, body } = reply;
  if (!response.destroyed) {
    const length = body === null ? {} : { 'content-length': Buffer.byteLength(body) };
    response.writeHead(status, { ...headers, ...length, ...ownHeaders(parts) });
    response.end(body ?? undefined);
  }
  noteAnswer(parts, { method: 'GET', path: RULESET_PATH, route: RULESET_PATH, status, start, actor });
}

class NodeAsking implements Asking, Leaving {
  proof?: Proof;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  get remoteAddress(): string | undefined {
    return this.#request.socket.remoteAddress;
  }

  get leaving(): Leaving {
    return this;
  }

  get aborted(): boolean {
    return this.#response.destroyed;
  }

  addEventListener(_left: 'abort', listener: () => void): void {
    this.#response.once('close', listener);
  }

  removeEventListener(_left: 'abort', listener: () => void): void {
    this.#response.off('close', listener);
  }
}
