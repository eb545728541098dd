import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { type ClientHttp2Session, connect, constants } from 'node:http2';

/** An answer as the client saw it. `status` 0 means that the connection failed; `error` says how. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Milliseconds from sending to the end of the answer. */
  readonly ms: number;
  readonly error?: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
}

/** Sends one HTTP/1.1 request. Never rejects: a failed connection is an answer with status 0. */
export function send(url: string | URL, ask: Ask = {}): Promise<Answer> {
  const begun = performance.now();
  return new Promise((resolve) => {
    const failed = (error: Error): void =>
      resolve({ status: 0, headers: {}, body: '', ms: performance.now() - begun, error: error.message });
    const sent = request(
      url,
      {
        method: ask.method ?? 'GET',
        headers: ask.headers ?? {},
        ...(ask.agent && { agent: ask.agent }),
        ...(ask.signal && { signal: ask.signal }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', failed);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
            ms: performance.now() - begun,
          }),
        );
      },
    );
    sent.on('error', failed);
    sent.end(ask.body);
  });
}

/**
 * Sends `count` requests over `connections` keep-alive connections, each one request at a time.
 *
 * @param ask called per request with its number
 */
export async function sendMany(
  url: string | URL,
  count: number,
  connections: number,
  ask: (i: number) => Ask = () => ({}),
): Promise<Answer[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const answers: Answer[] = [];
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      answers.push(await send(url, { ...ask(i), agent }));
    }
  };
  await Promise.all(Array.from({ length: connections }, run));
  agent.destroy();
  return answers;
}

/** How often each status came. */
export function statuses(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Sends one HTTP/2 request (prior knowledge, no TLS) on a connection of its own. Never rejects. */
export async function sendHttp2(url: string | URL, ask: Ask = {}): Promise<Answer> {
  const target = new URL(url);
  const session: ClientHttp2Session = connect(target.origin);
  const begun = performance.now();
  try {
    return await new Promise<Answer>((resolve) => {
      const failed = (error: Error): void =>
        resolve({ status: 0, headers: {}, body: '', ms: performance.now() - begun, error: error.message });
      session.on('error', failed);
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: ask.method ?? 'GET',
        [constants.HTTP2_HEADER_PATH]: target.pathname + target.search,
        ...ask.headers,
      });
      let headers: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
      const chunks: Buffer[] = [];
      stream.on('response', (received) => {
        headers = received;
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', failed);
      stream.on('end', () =>
        resolve({ status: headers[':status'] ?? 0, headers, body: Buffer.concat(chunks).toString(), ms: performance.now() - begun }),
      );
      stream.end(ask.body);
    });
  } finally {
    session.close();
  }
}
