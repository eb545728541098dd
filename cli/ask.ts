import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';

/** What of an HTTP answer is used. The body has been received whole. */
export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
  json(): Promise<unknown>;
}

interface Question {
  readonly method?: string;
  readonly headers?: unknown;
  readonly body?: unknown;
}

/**
 * Asks over HTTP as `fetch` does. Node's `fetch` takes longer to load than a short command to run.
 *
 * @param timeoutMs for the whole answer
 * @param stream the connection to use; one of its own if not given
 * @throws Error with `code`: Node's, or ETIMEDOUT
 */
export async function ask(url: string, { method = 'GET', headers, body }: Question, timeoutMs: number, stream?: Duplex): Promise<Answer> {
  // Not by import: that asks node:http for every one of its exports, one of which loads Node's fetch.
  const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');
  const options: RequestOptions = {
    method,
    headers: Object.fromEntries((headers ?? []) as Iterable<[string, string]>),
    // Node asks for a connection only where no agent is named.
    ...(stream === undefined ? { agent: false } : { createConnection: () => stream }),
  };
  return new Promise((resolve, reject) => {
    // Also when the other side hangs up in the middle: the process must not wait for the timer.
    const failed = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    const asking = request(url, options, (answer) => {
      received(answer).then((text) => {
        clearTimeout(timer);
        // The process must not wait for the other side to close.
        asking.destroy();
        resolve(asAnswer(answer, text));
      }, failed);
    });
    const timer = setTimeout(() => asking.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })), timeoutMs);
    asking.on('error', failed);
    asking.end(typeof body === 'string' ? body : undefined);
  });
}

/**
 * Listens to server-sent events (WHATWG HTML, "Server-sent events"): the lines of each, when it is whole.
 *
 * @param timeoutMs for the beginning of the answer, and between two signs of life after it
 * @param stream the connection to use; one of its own if not given
 * @throws Error with `code`: Node's, ETIMEDOUT, or ECONNRESET when the other side ends it
 */
export async function* listen(
  url: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  stream?: Duplex,
): AsyncGenerator<Answer | ServerSentEvent> {
  const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');
  const asking = request(url, { headers, ...(stream === undefined ? { agent: false } : { createConnection: () => stream }) });
  asking.setTimeout(timeoutMs, () => asking.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })));
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      asking.on('response', resolve).on('error', reject).end();
    });
    if (answer.statusCode !== 200) {
      yield asAnswer(answer, await received(answer));
      return;
    }
    yield asAnswer(answer, '');
    answer.setEncoding('utf8');
    let rest = '';
    for await (const chunk of answer as AsyncIterable<string>) {
      const whole = (rest + chunk).split('\n\n');
      rest = whole.pop() ?? '';
      for (const text of whole) yield asEvent(text);
    }
    throw Object.assign(new Error('the stream ended'), { code: 'ECONNRESET' });
  } finally {
    asking.destroy();
  }
}

/** One of them; a sign of life has no data. */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
}

function asEvent(text: string): ServerSentEvent {
  const field = (name: string): string =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trimStart())
      .join('\n');
  return { event: field('event'), data: field('data') };
}

function received(answer: IncomingMessage): Promise<string> {
  answer.setEncoding('utf8');
  let text = '';
  return new Promise((resolve, reject) => {
    answer.on('data', (chunk: string) => {
      text += chunk;
    });
    answer.on('end', () => resolve(text));
    answer.on('error', reject);
    // A server that goes away in the middle.
    answer.on('close', () => reject(Object.assign(new Error('cut off'), { code: 'ECONNRESET' })));
  });
}

function asAnswer({ statusCode = 0, headers }: IncomingMessage, text: string): Answer {
  return {
    ok: statusCode >= 200 && statusCode < 300,
    status: statusCode,
    headers: { get: (name) => headers[name.toLowerCase()]?.toString() ?? null },
    text: async () => text,
    json: async () => JSON.parse(text) as unknown,
  };
}
